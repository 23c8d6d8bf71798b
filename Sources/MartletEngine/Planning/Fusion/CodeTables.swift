import MartletCore

/// What every category comes to in a value that an encoder makes: found by running the operators themselves on rows that
/// hold each key once, and a value that is no key.
struct CodeTables {
  /// Elements that the operators may compute in all, and values that are kept.
  private static let maximumWork = 1 << 26
  private static let maximumValues = 1 << 22
  private static let rowsAtOnce = 64

  /// Elements of a row that are not zero, for each code of a source.
  struct Sparse {
    /// Where the elements of each code begin, and where those of the last end.
    private(set) var starts = [0]
    /// Numbers of elements in the order of `positions`, and their bits in 64.
    private(set) var elements: [(index: Int, bits: UInt64)] = []

    var codes: Int { starts.count - 1 }

    mutating func append(_ index: Int, _ bits: UInt64) { elements.append((index, bits)) }
    mutating func endCode() { starts.append(elements.count) }

    /// Those of one code.
    func elements(_ code: Int) -> ArraySlice<(index: Int, bits: UInt64)> { elements[starts[code]..<starts[code + 1]] }

    /// Those of one code within a range of elements.
    func elements(_ code: Int, in range: Range<Int>) -> [(index: Int, bits: UInt64)] {
      elements[starts[code]..<starts[code + 1]].filter { range.contains($0.index) }
    }
  }

  private(set) var values: [Int: Sparse] = [:]
  /// The elements of a row that depend on each source.
  private(set) var positions: [Int: [Int]] = [:]
  /// For each source whether the operators refuse its codes; none for a source that may have any.
  private(set) var refused: [Int: [Bool]] = [:]
  /// Sources whose values are named when they are refused.
  private(set) var named: Set<Int> = []

  private let trace: RowTrace
  private var context: RewriteContext { trace.context }

  /// Tabulates the value in `slot`, which `steps` make of the values in `leaves`; nil when that takes too much or fails.
  init?(_ slot: Int, _ steps: [StepList.Item], leaves: [Int], _ trace: RowTrace) {
    self.trace = trace
    guard let elements = trace.values[slot] else { return nil }
    for (position, element) in elements.enumerated() {
      if case .code(let source) = element { positions[source, default: []].append(position) }
    }
    let refusing = steps.filter { Self.refusesUnknown($0, context) }
    for item in refusing {
      for case .code(let source) in trace.elements(Int(item.inputs[0])) ?? [] where positions[source] == nil {
        positions[source] = []
      }
    }
    guard !positions.isEmpty else { return }
    let counts = positions.keys.map { keys($0).codes }
    let rows = counts.max() ?? 0
    let work = steps.flatMap(\.outputs).filter { $0 >= 0 }
      .reduce(0) { $0 + (context.tail(Int($1))?.reduce(1, *) ?? 0) }
    guard work * rows <= Self.maximumWork else { return nil }
    for source in positions.keys { values[source] = Sparse() }
    let texts = TextHeap()
    let list = StepList(steps)
    let scratch = EngineScratch(
      slots: context.run.slotCount, constants: context.run.constants.map { (slot: $0.key, tensor: $0.value) })
    let fillers = leaves.map { leaf in Filler(leaf, trace, texts) }
    for first in stride(from: 0, to: rows, by: Self.rowsAtOnce) {
      let count = min(Self.rowsAtOnce, rows - first)
      for filler in fillers { filler.fill(&scratch.slots[filler.slot], first: first, count: count) }
      do {
        try list.run(scratch, texts: texts, isPlanning: true)
      } catch {
        return nil
      }
      guard collect(scratch.slots[slot], elements.count, first: first, count: count) else { return nil }
      for item in refusing { collectRefused(item, scratch, first: first, count: count) }
    }
  }

  private func keys(_ source: Int) -> CodeDictionary.Keys { trace.keys[source].keys(trace.sources[source].kind) }

  private static func refusesUnknown(_ item: StepList.Item, _ context: RewriteContext) -> Bool {
    guard let node = context.node(item) else { return false }
    if node.opType == "CategoryCode" { return true }
    guard node.opType == "OneHotEncoder" else { return false }
    return ((try? node.integer("zeros", default: 1)) ?? 1) == 0
  }

  private mutating func collect(_ slot: TensorSlot, _ width: Int, first: Int, count: Int) -> Bool {
    guard slot.shape.elements == width * count, slot.type == .float32 || slot.type == .float64 else { return false }
    for (source, own) in positions {
      let codes = keys(source).codes
      var table = values[source] ?? Sparse()
      values[source] = nil
      for row in 0..<count where first + row < codes {
        for (index, position) in own.enumerated() {
          let element = row * width + position
          let bits =
            slot.type == .float32
            ? UInt64(slot.base.assumingMemoryBound(to: UInt32.self)[element])
            : slot.base.assumingMemoryBound(to: UInt64.self)[element]
          // Not every number that is none has the same bits, so these would not tell which to write.
          let isUnsure = trace.sources[source].kind == .intervals && Self.isNaN(bits, slot.type)
          if isUnsure { return false }
          if bits != 0 { table.append(index, bits) }
        }
        table.endCode()
      }
      values[source] = table
      if table.elements.count > Self.maximumValues { return false }
    }
    return true
  }

  private static func isNaN(_ bits: UInt64, _ type: ElementType) -> Bool {
    type == .float32 ? Float(bitPattern: UInt32(truncatingIfNeeded: bits)).isNaN : Double(bitPattern: bits).isNaN
  }

  private mutating func collectRefused(_ item: StepList.Item, _ scratch: EngineScratch, first: Int, count: Int) {
    let knows: (Tensor, Int) -> Bool
    switch item.run {
    case let box as OperatorBox<OneHotEncoderOperator>: knows = box.wrapped.knows
    case let box as OperatorBox<CategoryCodeOperator>: knows = box.wrapped.knows
    default: return
    }
    let input = Tensor(slot: scratch.slots + Int(item.inputs[0]))
    let elements = trace.elements(Int(item.inputs[0])) ?? []
    for row in 0..<count {
      for (index, element) in elements.enumerated() {
        guard case .code(let source) = element, first + row < keys(source).codes,
          !knows(input, row * elements.count + index)
        else { continue }
        var own = refused[source] ?? Array(repeating: false, count: keys(source).codes)
        own[first + row] = true
        refused[source] = own
        if item.run is OperatorBox<CategoryCodeOperator> { named.insert(source) }
      }
    }
  }

  /// Writes the rows of a value that the steps start from.
  private struct Filler {
    let slot: Int
    private let type: ElementType
    private let tail: [Int]
    /// A value for each code of each element; empty for elements that are not looked up.
    private var texts: [[TextRef]]
    private var numbers: [[Double]]
    private var integers: [[Int64]]

    init(_ slot: Int, _ trace: RowTrace, _ heap: TextHeap) {
      self.slot = slot
      type = trace.context.type(slot)
      tail = trace.context.tail(slot) ?? []
      let elements = trace.elements(slot) ?? []
      texts = Array(repeating: [], count: elements.count)
      numbers = texts.map { _ in [] }
      integers = texts.map { _ in [] }
      for (place, element) in elements.enumerated() {
        let source: Int?
        switch element {
        case .code(let index): source = index
        case .number(let index): source = trace.source(of: trace.terms[index])
        }
        guard let source else { continue }
        switch trace.keys[source].keys(trace.sources[source].kind) {
        case .texts(let keys):
          texts[place] = (keys + [CodeDictionary.Keys.texts(keys).otherText]).map { key in
            key.withUnsafeBytes { heap.store($0) }
          }
        case .integers(let keys):
          integers[place] = keys + [(2...).first { !keys.contains($0) } ?? 0]
          numbers[place] = integers[place].map(Double.init)
        case .reals(let keys):
          numbers[place] = keys + [(2...).lazy.map(Double.init).first { !keys.contains($0) } ?? 0]
        case .intervals(let keys): numbers[place] = Self.members(keys, type)
        }
      }
    }

    /// A number of each interval. One that no number of the type is in gets any: it will not be looked up.
    private static func members(_ keys: [Int64], _ type: ElementType) -> [Double] {
      var members = [-Double.infinity]
      for key in keys {
        let bound = IntervalTable.value(key)
        members.append(bound)
        members.append(type == .float32 ? Double(Float(bound).nextUp) : bound.nextUp)
      }
      return members + [.nan]
    }

    func fill(_ target: inout TensorSlot, first: Int, count: Int) {
      target.reserve(type, Shape([count] + tail))
      let width = tail.reduce(1, *)
      for row in 0..<count {
        for element in 0..<width {
          let index = row * width + element
          func pick<T>(_ values: [[T]], _ fallback: T) -> T {
            guard element < values.count, !values[element].isEmpty else { return fallback }
            return values[element][min(first + row, values[element].count - 1)]
          }
          switch type {
          case .text: target.base.assumingMemoryBound(to: TextRef.self)[index] = pick(texts, .empty)
          case .float32: target.base.assumingMemoryBound(to: Float.self)[index] = Float(pick(numbers, 1))
          case .float64: target.base.assumingMemoryBound(to: Double.self)[index] = pick(numbers, 1)
          case .int64: target.base.assumingMemoryBound(to: Int64.self)[index] = pick(integers, 1)
          case .int32:
            target.base.assumingMemoryBound(to: Int32.self)[index] = Int32(truncatingIfNeeded: pick(integers, 1))
          default: break
          }
        }
      }
    }
  }
}
