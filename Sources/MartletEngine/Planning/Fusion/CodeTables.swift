import MartletCore

/// What every category comes to in a value that an encoder makes: found by running the operators themselves on rows that
/// hold each key once, and a value that is no key.
struct CodeTables {
  /// Elements that the operators may compute in all, and values that are kept.
  private static let maximumWork = 1 << 26
  private static let maximumValues = 1 << 24
  private static let rowsAtOnce = 64

  /// For each source the values of its elements, bits in 64: `[codes][elements]`, in the order of `positions`.
  private(set) var values: [Int: [UInt64]] = [:]
  /// The elements of a row that depend on each source.
  private(set) var positions: [Int: [Int]] = [:]
  /// For each source whether the operators refuse its codes; none for a source that may have any.
  private(set) var refused: [Int: [Bool]] = [:]

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
    let counts = positions.mapValues { _ in 0 }.keys.map { trace.keys[$0].keys(trace.sources[$0].kind).count + 1 }
    let rows = counts.max() ?? 0
    let work = steps.flatMap(\.outputs).filter { $0 >= 0 }
      .reduce(0) { $0 + (context.tail(Int($1))?.reduce(1, *) ?? 0) }
    guard work * rows <= Self.maximumWork else { return nil }
    var kept = 0
    for (source, own) in positions { kept += own.count * (keys(source).count + 1) }
    guard kept <= Self.maximumValues else { return nil }
    for (source, own) in positions {
      values[source] = Array(repeating: 0, count: own.count * (keys(source).count + 1))
    }
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
    guard let node = context.node(item), node.opType == "OneHotEncoder" else { return false }
    return ((try? node.integer("zeros", default: 1)) ?? 1) == 0
  }

  private mutating func collect(_ slot: TensorSlot, _ width: Int, first: Int, count: Int) -> Bool {
    guard slot.shape.elements == width * count else { return false }
    for (source, own) in positions {
      let codes = keys(source).count + 1
      for row in 0..<count where first + row < codes {
        for (index, position) in own.enumerated() {
          let element = row * width + position
          let bits: UInt64
          switch slot.type {
          case .float32: bits = UInt64(slot.base.assumingMemoryBound(to: UInt32.self)[element])
          case .float64: bits = slot.base.assumingMemoryBound(to: UInt64.self)[element]
          default: return false
          }
          values[source]![(first + row) * own.count + index] = bits
        }
      }
    }
    return true
  }

  private mutating func collectRefused(_ item: StepList.Item, _ scratch: EngineScratch, first: Int, count: Int) {
    guard let box = item.run as? OperatorBox<OneHotEncoderOperator> else { return }
    let input = Tensor(slot: scratch.slots + Int(item.inputs[0]))
    let elements = trace.elements(Int(item.inputs[0])) ?? []
    for row in 0..<count {
      for (index, element) in elements.enumerated() {
        guard case .code(let source) = element, first + row <= keys(source).count,
          !box.wrapped.knows(input, row * elements.count + index)
        else { continue }
        var own = refused[source] ?? Array(repeating: false, count: keys(source).count + 1)
        own[first + row] = true
        refused[source] = own
      }
    }
  }

  /// Writes the rows of a value that the steps start from.
  private struct Filler {
    let slot: Int
    private let type: ElementType
    private let tail: [Int]
    /// The keys of each element and one that is none; empty for elements that are not looked up.
    private var texts: [[TextRef]]
    private var numbers: [[Double]]
    private var integers: [[Int64]]

    init(_ slot: Int, _ trace: RowTrace, _ heap: TextHeap) {
      self.slot = slot
      type = trace.context.type(slot)
      tail = trace.context.tail(slot) ?? []
      let width = tail.reduce(1, *)
      texts = Array(repeating: [], count: width)
      numbers = Array(repeating: [], count: width)
      integers = Array(repeating: [], count: width)
      for (index, source) in trace.sources.enumerated() where source.slot == slot {
        switch trace.keys[index].keys(source.kind) {
        case .texts(let keys):
          texts[source.element] = (keys + [Self.other(than: keys)]).map { key in
            key.withUnsafeBytes { heap.store($0) }
          }
        case .integers(let keys):
          let other = (2...).first { !keys.contains($0) } ?? 0
          integers[source.element] = keys + [other]
          numbers[source.element] = (keys + [other]).map(Double.init)
        case .reals(let keys):
          numbers[source.element] = keys + [(2...).lazy.map(Double.init).first { !keys.contains($0) } ?? 0]
        }
      }
    }

    private static func other(than keys: [[UInt8]]) -> [UInt8] {
      let known = Set(keys)
      var text = Array("no category".utf8)
      while known.contains(text) { text.append(UInt8(ascii: "?")) }
      return text
    }

    func fill(_ target: inout TensorSlot, first: Int, count: Int) {
      target.reserve(type, Shape([count] + tail))
      let width = tail.reduce(1, *)
      for row in 0..<count {
        for element in 0..<width {
          let index = row * width + element
          func pick<T>(_ values: [T], _ fallback: T) -> T {
            values.isEmpty ? fallback : values[min(first + row, values.count - 1)]
          }
          switch type {
          case .text: target.base.assumingMemoryBound(to: TextRef.self)[index] = pick(texts[element], .empty)
          case .float32: target.base.assumingMemoryBound(to: Float.self)[index] = Float(pick(numbers[element], 1))
          case .float64: target.base.assumingMemoryBound(to: Double.self)[index] = pick(numbers[element], 1)
          case .int64: target.base.assumingMemoryBound(to: Int64.self)[index] = pick(integers[element], 1)
          case .int32:
            target.base.assumingMemoryBound(to: Int32.self)[index] = Int32(
              truncatingIfNeeded: pick(integers[element], 1))
          default: break
          }
        }
      }
    }
  }
}
