import CKernels

/// Nodes of four bytes on codes, gathered for 64 pairs of a row and a tree at a time: for deep trees and any number of
/// rows, on processors with gathers.
final class GatherPlan<Value: TreeValue>: TreePlan<Value>, @unchecked Sendable {
  // `@unchecked Sendable`: as the base class says; the tables are written by `init` only.
  private let tables = KernelTables()
  private let memory = NodeMemory()
  private let plan: UnsafePointer<martlet_gather_plan>
  private let targets: Int
  private let scored: [Int]

  override class var kind: String { "gather" }

  required convenience init?(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.init(planning: PlanSource(ensemble, aggregate))
  }

  override class func make(_ source: PlanSource<Value>) -> TreePlan<Value>? { GatherPlan(planning: source) }

  /// Nil also where one chunk of another kind holds most trees, so that this one would only take time at every load.
  private convenience init?(planning source: PlanSource<Value>) {
    guard source.ensemble.nodes.count > 2 * RowLayout.nodesOfChunk * source.ensemble.roots.count else { return nil }
    self.init(source, level: martlet_cpu_level())
  }

  /// `level` is the processor's that kernels may use; codes are of one byte where no feature needs more, or of `width`.
  /// A page has `pagePairs` pairs of nodes at most.
  init?(_ source: PlanSource<Value>, level: Int32, width: CodeWidth? = nil, pagePairs: Int = .max) {
    guard level >= MARTLET_CPU_AVX2 else { return nil }
    let most = CodeWidth.byte.most
    let bytes = width == .word ? nil : source.coded
    let isNarrow = bytes?.features.allSatisfy { $0.cuts.count <= most } ?? false
    guard let coded = isNarrow ? bytes : source.codedWide, coded.columns <= GatherLayout.maximumColumns else {
      return nil
    }
    // Codes of tables are bytes.
    let greatest = coded.features.reduce(most) { max($0, $1.cuts.count) }
    var layout = GatherLayout(greatestCode: greatest, columns: coded.columns, pagePairs: pagePairs)
    var leaves = LeafRecords(wordsOfValue: MemoryLayout<Value>.stride / 4)
    let fits = coded.values.withUnsafeBytes { values in
      coded.nodes.withUnsafeBufferPointer { nodes in
        coded.trees.allSatisfy { tree in
          let firstRecord = leaves.append(values, tree)
          let part = UnsafeBufferPointer(rebasing: nodes[tree.firstNode..<(tree.firstNode + tree.nodes)])
          return layout.append(tree, part, leaves.numbers, firstValue: firstRecord)
        }
      }
    }
    guard fits else { return nil }
    targets = coded.targets
    scored = source.ensemble.scoresEveryTarget ? [] : coded.scored
    // Behind the end may be read what the first levels of a tree would be.
    let nodes = memory.reserve(layout.words.count + 64, of: UInt32.self)
    nodes.update(from: layout.words, count: layout.words.count)
    plan = tables.store([
      martlet_gather_plan(
        encoder: coded.encoder(tables, level: level), trees: tables.store(layout.trees),
        tree_count: layout.trees.count, nodes: nodes, values: tables.store(leaves.words),
        outputs: tables.store(coded.outputs), target_count: coded.targets,
        threshold_shift: UInt32(layout.thresholdShift), column_shift: UInt32(layout.columnShift),
        column_mask: UInt32(layout.columnMask), child_mask: UInt32(layout.childMask), has_links: layout.hasLinks)
    ])
    super.init(source.ensemble, source.aggregate)
  }

  override var bytes: Int { tables.bytes + memory.bytes }

  override func temporaryBytes(rows: Int) -> Int { martlet_gather_bytes(plan, rows) }

  override func add(
    _ rows: UnsafePointer<Value>, stride: Int, count: Int, to scores: TreeScores<Value>,
    temporary: UnsafeMutableRawPointer
  ) {
    martlet_gather(plan, rows, stride, count, scores.values, temporary)
    scores.markScored(scored, rows: count, targets: targets)
  }
}

/// Trees as `martlet_gather` takes them: pages of words, children level by level.
struct GatherLayout {
  /// More would leave too few bits for children.
  static let maximumColumns = 1 << 9

  /// Words at whose multiples pages begin.
  private static let pageAlignment = 16
  private static let end: UInt32 = 1
  private static let link: UInt32 = 2

  let thresholdShift: Int
  let columnShift: Int
  let columnMask: Int
  let childMask: Int
  /// Pairs of nodes of a page.
  private let pagePairs: Int
  private(set) var trees: [martlet_gather_tree] = []
  private(set) var words: [UInt32] = []
  private(set) var hasLinks = false
  /// Nodes, or complements of leaves, and the words that they become.
  private var queue: [(node: Int32, word: Int)] = []
  private var pages: [(node: Int32, word: Int)] = []

  init(greatestCode: Int, columns: Int, pagePairs: Int) {
    thresholdShift = 32 - (Int.bitWidth - greatestCode.leadingZeroBitCount)
    let columnBits = Int.bitWidth - max(1, columns - 1).leadingZeroBitCount
    columnShift = thresholdShift - columnBits
    columnMask = 1 << columnBits - 1
    childMask = 1 << columnShift - 2
    self.pagePairs = min(pagePairs, childMask / 2)
  }

  /// Appends a tree whose leaf i adds the record `records[i]`, counted from `firstValue` on; false when there is no room.
  mutating func append(
    _ tree: CodedTree, _ nodes: UnsafeBufferPointer<CodedNode>, _ records: [UInt32], firstValue: Int
  ) -> Bool {
    align()
    let root = words.count
    guard root + 64 * (tree.nodes + 1) < 1 << 30, firstValue < 1 << 31 else { return false }
    trees.append(
      .init(
        root: UInt32(root), first_value: UInt32(firstValue), first_output: UInt32(tree.firstOutput),
        outputs: UInt32(tree.outputs)))
    pages.append((nodes.isEmpty ? ~0 : 0, -1))
    while let page = pages.popLast() {
      align()
      let begin = words.count
      if page.word >= 0 { words[page.word] = UInt32((begin - root) / Self.pageAlignment) << 2 | Self.link | Self.end }
      words.append(0)
      words.append(0)
      queue.removeAll(keepingCapacity: true)
      queue.append((page.node, begin))
      var pair = 1
      var next = 0
      while next < queue.count {
        let (place, word) = queue[next]
        next += 1
        if place < 0 {
          words[word] = records[Int(~place)] << 2 | Self.end
        } else if pair > pagePairs {
          pages.append((place, word))
          hasLinks = true
        } else {
          let node = nodes[Int(place)]
          words[word] =
            UInt32(node.threshold) << UInt32(thresholdShift) | UInt32(node.column) << UInt32(columnShift)
            | UInt32(2 * pair)
          queue.append((node.low, words.count))
          queue.append((node.high, words.count + 1))
          words.append(0)
          words.append(0)
          pair += 1
        }
      }
    }
    return true
  }

  private mutating func align() {
    while words.count % Self.pageAlignment != 0 { words.append(0) }
  }
}

/// What leaves add, each record once a tree however many leaves have it: of a forest of classes most leaves are of one
/// class alone.
private struct LeafRecords {
  /// Of records one behind the other.
  private(set) var words: [UInt32] = []
  /// By leaf of the last tree, its record.
  private(set) var numbers: [UInt32] = []
  private let wordsOfValue: Int
  /// Records of the last tree by their hash, and -1 where there is none.
  private var places: [Int32] = []

  init(wordsOfValue: Int) { self.wordsOfValue = wordsOfValue }

  /// Adds the records of a tree; returns the index of its first value among all.
  mutating func append(_ values: UnsafeRawBufferPointer, _ tree: CodedTree) -> Int {
    let first = words.count
    let size = wordsOfValue * tree.outputs
    let source = values.baseAddress! + 4 * wordsOfValue * tree.firstValue
    var bits = 3
    while 1 << bits < 2 * tree.leaves { bits += 1 }
    places.removeAll(keepingCapacity: true)
    places.append(contentsOf: repeatElement(-1, count: 1 << bits))
    numbers.removeAll(keepingCapacity: true)
    var count = 0
    for leaf in 0..<tree.leaves {
      let begin = words.count
      var hash: UInt64 = 0
      for output in 0..<tree.outputs {
        for part in 0..<wordsOfValue {
          let offset = 4 * ((output * tree.leaves + leaf) * wordsOfValue + part)
          let word = source.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
          words.append(word)
          hash = (hash ^ UInt64(word)) &* 0x9e37_79b9_7f4a_7c15
          hash ^= hash >> 29
        }
      }
      var place = Int((hash &* 0x9e37_79b9_7f4a_7c15) >> UInt64(64 - bits))
      // A file whose values were made to meet in one place must not take longer for it.
      var triesLeft = 16
      while triesLeft > 0, places[place] >= 0, !isEqual(first + Int(places[place]) * size, begin, size) {
        place = (place + 1) & (1 << bits - 1)
        triesLeft -= 1
      }
      if triesLeft == 0 || places[place] < 0 {
        if triesLeft > 0 { places[place] = Int32(count) }
        numbers.append(UInt32(count))
        count += 1
      } else {
        numbers.append(UInt32(places[place]))
        words.removeLast(size)
      }
    }
    return first / wordsOfValue
  }

  private func isEqual(_ a: Int, _ b: Int, _ size: Int) -> Bool {
    for index in 0..<size where words[a + index] != words[b + index] { return false }
    return true
  }
}
