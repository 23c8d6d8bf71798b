import MartletCore

/// Puts an encoder in place of the steps that make a model's rows of features from columns. A linear model behind it
/// adds the weights of categories instead of reading rows, and trees read the codes of categories in place of features.
enum EncodingRewrite: PlanRewrite {
  /// Plans of more steps are left as they are, and so are those for which more trials would be needed: the time that a
  /// file can take at load is bounded.
  private static let maximumSteps = 4096
  private static let maximumTrials = 64

  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    guard items.count <= maximumSteps else { return nil }
    var blocked: Set<Int> = []
    for _ in 0..<maximumTrials {
      let trace = RowTrace(items, context, blocked: blocked)
      let (targets, live) = needs(items, trace)
      guard !targets.isEmpty else { return nil }
      var candidates: [(producer: Int, cone: EncodingCone)] = []
      // Where nothing is gained the step remains, and what it reads may be encoded instead.
      var refused: Set<Int> = []
      for target in targets {
        guard let producer = items.firstIndex(where: { $0.outputs.contains(Int32(target)) }) else { return nil }
        if let cone = EncodingCone(target, items, trace) {
          candidates.append((producer, cone))
        } else {
          refused.insert(producer)
        }
      }
      // Tables take time, so they are made when it is known which values need them.
      var encodings: [Int: Encoding] = [:]
      if refused.isEmpty {
        for (producer, cone) in candidates {
          encodings[producer] = Encoding(cone, label: items[producer].label, trace)
          if encodings[producer] == nil { refused.insert(producer) }
        }
      }
      if refused.isEmpty { return assembled(items, encodings, live, context) }
      blocked.formUnion(refused)
    }
    return nil
  }

  /// The values that encoders have to make, and the steps that remain.
  private static func needs(_ items: [StepList.Item], _ trace: RowTrace) -> (targets: Set<Int>, live: Set<Int>) {
    var producers: [Int: Int] = [:]
    for (index, item) in items.enumerated() {
      for slot in item.outputs where slot >= 0 { producers[Int(slot)] = index }
    }
    var targets: Set<Int> = []
    var live: Set<Int> = []
    var open = Array(trace.context.outputs)
    var seen = Set(open)
    func need(_ slot: Int) {
      if seen.insert(slot).inserted { open.append(slot) }
    }
    while let slot = open.popLast() {
      if let elements = trace.values[slot] {
        targets.insert(slot)
        for leaf in leaves(elements, trace) { need(leaf) }
      } else if let producer = producers[slot], live.insert(producer).inserted {
        for input in items[producer].inputs where input >= 0 { need(Int(input)) }
      }
    }
    return (targets, live)
  }

  private static func leaves(_ elements: [RowElement], _ trace: RowTrace) -> Set<Int> {
    Set(
      elements.map {
        switch $0 {
        case .code(let source): trace.sources[source].term.slot
        case .number(let term): trace.terms[term].slot
        }
      })
  }

  private static func assembled(
    _ items: [StepList.Item], _ encodings: [Int: Encoding], _ live: Set<Int>, _ context: RewriteContext
  ) -> [StepList.Item] {
    var readers: [Int32: [Int]] = [:]
    for index in live {
      for slot in items[index].inputs where slot >= 0 { readers[slot, default: []].append(index) }
    }
    // Linear models that are the only reader of an encoding with categories.
    var linear: [Int: (encoding: Encoding, step: AnyOperator)] = [:]
    for (_, encoding) in encodings where !context.outputs.contains(encoding.slot) {
      guard let own = readers[Int32(encoding.slot)], own.count == 1, let step = encoding.linear(items[own[0]]) else {
        continue
      }
      linear[own[0]] = (encoding, step)
    }
    let skipped = Set(linear.values.map { $0.encoding.slot })
    // Encodings that only trees read, and the trees, by the index of their step.
    var coded: [Int: StepList.Item] = [:]
    var trees: [Int: AnyOperator] = [:]
    for (_, encoding) in encodings where !context.outputs.contains(encoding.slot) {
      let own = readers[Int32(encoding.slot)] ?? []
      guard let (item, steps) = encoding.coded(own.map { items[$0] }) else { continue }
      coded[encoding.slot] = item
      for (index, step) in zip(own, steps) { trees[index] = step }
    }
    var result: [StepList.Item] = []
    for (index, item) in items.enumerated() {
      if let encoding = encodings[index], !skipped.contains(encoding.slot) {
        result.append(coded[encoding.slot] ?? encoding.item)
      }
      guard live.contains(index) else { continue }
      if let (encoding, step) = linear[index] {
        result.append(
          StepList.Item(
            run: step, label: item.label, node: -1, inputs: encoding.inputs, outputs: item.outputs))
      } else if let step = trees[index] {
        var item = item
        item.run = step
        result.append(item)
      } else {
        result.append(item)
      }
    }
    return result
  }
}

/// A value that an encoder may make, and the steps that it stands for.
private struct EncodingCone {
  let slot: Int
  let elements: [RowElement]
  let tail: [Int]
  /// The steps between the value and those whose elements are looked up or computed with.
  private(set) var steps: [StepList.Item] = []
  let leaves: [Int]

  /// Nil when the value is none that an encoder makes, or nothing is gained.
  init?(_ slot: Int, _ items: [StepList.Item], _ trace: RowTrace) {
    guard let elements = trace.values[slot], let tail = trace.context.tail(slot),
      [.float32, .float64].contains(trace.context.type(slot))
    else { return nil }
    self.slot = slot
    self.elements = elements
    self.tail = tail
    var needed: Set<Int> = [slot]
    func isLeaf(_ value: Int) -> Bool { trace.values[value] == nil || (value != slot && trace.cuts.contains(value)) }
    for item in items.reversed() {
      let own = item.outputs.filter { $0 >= 0 && needed.contains(Int($0)) && !isLeaf(Int($0)) }
      guard !own.isEmpty else { continue }
      // A step that makes both would overwrite what is looked up.
      guard item.outputs.allSatisfy({ $0 < 0 || !isLeaf(Int($0)) }) else { return nil }
      steps.append(item)
      for input in item.inputs where input >= 0 && trace.context.run.constants[Int(input)] == nil {
        needed.insert(Int(input))
      }
    }
    steps.reverse()
    leaves = needed.filter(isLeaf).sorted()
    let hasCodes = elements.contains { if case .code = $0 { true } else { false } }
    guard steps.count > 1 || hasCodes else { return nil }
  }
}

/// One value that an encoder makes.
private struct Encoding {
  let slot: Int
  /// Slots that the encoder reads.
  let inputs: [Int32]
  private let label: String
  /// Dimensions of a row behind one for the rows.
  private let tail: Shape
  private let single: RowEncoder<Float>?
  private let double: RowEncoder<Double>?
  private let hasCodes: Bool
  private let maker: RowEncoderMaker

  /// Nil when tables of the categories cannot be had.
  init?(_ cone: EncodingCone, label: String, _ trace: RowTrace) {
    guard let tables = CodeTables(cone.slot, cone.steps, leaves: cone.leaves, trace) else { return nil }
    slot = cone.slot
    self.label = label
    tail = Shape([1] + cone.tail)
    hasCodes = !tables.positions.isEmpty
    maker = RowEncoderMaker(cone.slot, cone.elements, tables, trace)
    inputs = maker.inputs.map(Int32.init)
    let isSingle = trace.context.type(slot) == .float32
    single = isSingle ? maker.encoder(Float.self) : nil
    double = isSingle ? nil : maker.encoder(Double.self)
    guard single != nil || double != nil, !inputs.isEmpty else { return nil }
  }

  var item: StepList.Item {
    let step = if let single { EncodingStep(single, tail) } else { EncodingStep(double!, tail) }
    return StepList.Item(run: step, label: label, node: -1, inputs: inputs, outputs: [Int32(slot)])
  }

  /// The step that makes rows of codes and the steps of trees that read them; nil when `readers` are not all trees that
  /// read nothing else, or when there is no gain.
  func coded(_ readers: [StepList.Item]) -> (item: StepList.Item, trees: [AnyOperator])? {
    guard hasCodes, tail.rank == 2, !readers.isEmpty, let rows = maker.rows else { return nil }
    var trees: [AnyOperator] = []
    for reader in readers {
      guard reader.inputs == [Int32(slot)], let step = (reader.run as? any PostponedTrees)?.reading(rows) else {
        return nil
      }
      trees.append(step)
    }
    let shape = Shape(1, rows.width)
    let step: EncodingStep
    if single != nil {
      guard let encoder = maker.encoder(Float.self, asCodes: true) else { return nil }
      step = EncodingStep(encoder, shape)
    } else {
      guard let encoder = maker.encoder(Double.self, asCodes: true) else { return nil }
      step = EncodingStep(encoder, shape)
    }
    return (StepList.Item(run: step, label: label, node: -1, inputs: inputs, outputs: [Int32(slot)]), trees)
  }

  /// The step of a linear model that reads this value alone; nil when `item` is none, or has nothing to gain.
  func linear(_ item: StepList.Item) -> AnyOperator? {
    guard hasCodes, let single, tail.rank == 2, item.inputs.count == 1 else { return nil }
    switch item.run {
    case let box as OperatorBox<LinearClassifierOperator>: return EncodedLinearStep(single, box.wrapped)
    case let box as OperatorBox<LinearRegressorOperator>: return EncodedLinearStep(single, box.wrapped)
    default: return nil
    }
  }
}

/// Lays out an encoder.
private struct RowEncoderMaker {
  /// Slots that the encoder reads, in the order of its inputs.
  private(set) var inputs: [Int] = []
  private let elements: [RowElement]
  private let tables: CodeTables
  private let trace: RowTrace
  private let slot: Int

  init(_ slot: Int, _ elements: [RowElement], _ tables: CodeTables, _ trace: RowTrace) {
    self.slot = slot
    self.elements = elements
    self.tables = tables
    self.trace = trace
    for source in tables.positions.keys.sorted() { add(trace.sources[source].term.slot) }
    for case .number(let term) in elements { add(trace.terms[term].slot) }
  }

  private mutating func add(_ slot: Int) {
    if !inputs.contains(slot) { inputs.append(slot) }
  }

  private func width(_ slot: Int) -> Int { trace.context.tail(slot)?.reduce(1, *) ?? 1 }

  /// The categories that features follow from, in the order in which rows of codes have them behind the numbers.
  private var coded: [Int] { tables.positions.keys.sorted().filter { !tables.positions[$0]!.isEmpty } }

  /// Codes of more categories are not for trees, nor are more values of categories.
  private static let maximumCodes = 1 << 16
  private static let maximumValues = 1 << 20

  /// Rows of numbers and codes in place of features; nil when a category has too many values.
  var rows: CategoryRows? {
    let coded = coded
    guard !coded.isEmpty else { return nil }
    var columns: [Int: Int] = [:]
    var numbers = 0
    for element in elements { if case .number = element { numbers += 1 } }
    for source in coded { columns[source] = numbers + columns.count }
    var features: [Int: [[(code: Int, bits: UInt64)]]] = [:]
    for source in coded {
      let table = tables.values[source]!
      guard table.codes <= Self.maximumCodes, table.elements.count <= Self.maximumValues else { return nil }
      var own = Array(repeating: [(code: Int, bits: UInt64)](), count: tables.positions[source]!.count)
      for code in 0..<table.codes {
        for (index, bits) in table.elements(code) { own[index].append((code, bits)) }
      }
      features[source] = own
    }
    var number = 0
    var taken: [Int: Int] = [:]
    let sources = elements.map { element -> CategoryRows.Source in
      switch element {
      case .number:
        number += 1
        return .number(number - 1)
      case .code(let source):
        let index = taken[source, default: 0]
        taken[source] = index + 1
        return .category(
          column: columns[source]!, codes: tables.values[source]!.codes, values: features[source]![index])
      }
    }
    return CategoryRows(
      width: numbers + columns.count, isSingle: trace.context.type(slot) == .float32, sources: sources)
  }

  /// `asCodes`: with the numbers first and a code for each category behind them, in place of all features.
  func encoder<T: FloatElement & BitwiseCopyable>(_: T.Type, asCodes: Bool = false) -> RowEncoder<T>? {
    let elements = asCodes ? elements.filter { if case .number = $0 { true } else { false } } : elements
    let memory = StepMemory()
    var columns: [RowEncoder<T>.Column] = []
    var dictionaries: [CodeDictionary] = []
    var prepared: [RowEncoder<T>.Segment] = []
    var stages: [RowEncoder<T>.Stage] = []
    var columnOf: [Int: Int] = [:]
    for source in tables.positions.keys.sorted() {
      let own = trace.sources[source].term
      let dictionary = CodeDictionary(trace.keys[source].keys(trace.sources[source].kind))
      if !own.isUnchanged {
        guard own.type == RowEncoder<T>.valueType else { return nil }
        prepared.append(numbers([own], at: 0, &stages, memory, T.self))
      }
      columnOf[source] = columns.count
      dictionaries.append(dictionary)
      columns.append(
        RowEncoder<T>.Column(
          input: inputs.firstIndex(of: own.slot)!, element: own.element, width: width(own.slot), type: own.type,
          prepared: own.isUnchanged ? nil : prepared.count - 1, dictionary: .passUnretained(dictionary),
          refused: tables.refused[source].map { memory.keep($0) }, isNamed: tables.named.contains(source)))
    }
    var segments: [RowEncoder<T>.Segment] = []
    // How many elements of each source are behind us.
    var taken: [Int: Int] = [:]
    var position = 0
    while position < elements.count {
      var end = position + 1
      switch elements[position] {
      case .code(let source):
        while end < elements.count, elements[end] == elements[position] { end += 1 }
        let first = taken[source, default: 0]
        taken[source] = first + end - position
        segments.append(
          coded(source, columnOf[source]!, position..<end, first: first, memory, T.self))
      case .number(let number):
        let term = trace.terms[number]
        var run = [term]
        while end < elements.count, case .number(let next) = elements[end] {
          let other = trace.terms[next]
          guard other.slot == term.slot, other.element == term.element + run.count, other.type == term.type,
            other.stages.map(\.kind) == term.stages.map(\.kind)
          else { break }
          run.append(other)
          end += 1
        }
        guard term.type == RowEncoder<T>.valueType else { return nil }
        segments.append(numbers(run, at: position, &stages, memory, T.self))
      }
      position = end
    }
    for source in asCodes ? coded : [] {
      segments.append(
        RowEncoder<T>.Segment(
          kind: .code, position: position, count: 1, column: columnOf[source]!, values: memory.keep([T]())))
      position += 1
    }
    return RowEncoder(
      width: position, columns: columns, dictionaries: dictionaries, prepared: prepared, segments: segments,
      stages: stages, memory: memory)
  }

  /// Neighbouring numbers that go through the same kinds of operations.
  private func numbers<T: FloatElement & BitwiseCopyable>(
    _ terms: [NumberTerm], at position: Int, _ stages: inout [RowEncoder<T>.Stage], _ memory: StepMemory, _: T.Type
  ) -> RowEncoder<T>.Segment {
    let term = terms[0]
    let first = stages.count
    for (index, stage) in term.stages.enumerated() {
      stages.append(
        RowEncoder<T>.Stage(
          kind: stage.kind, a: memory.keep(terms.map { NumberStage.value($0.stages[index].a, as: T.self) }),
          b: memory.keep(terms.map { NumberStage.value($0.stages[index].b, as: T.self) })))
    }
    return RowEncoder<T>.Segment(
      kind: .numbers, position: position, count: terms.count, values: memory.keep([T]()),
      input: inputs.firstIndex(of: term.slot)!, element: term.element, width: width(term.slot), type: term.source,
      stages: first..<stages.count)
  }

  /// The features at `range`, which are those from `first` on among the ones that the source makes.
  private func coded<T: FloatElement & BitwiseCopyable>(
    _ source: Int, _ column: Int, _ range: Range<Int>, first: Int, _ memory: StepMemory, _: T.Type
  ) -> RowEncoder<T>.Segment {
    let table = tables.values[source]!
    let rows = (0..<table.codes).map { table.elements($0, in: first..<(first + range.count)) }
    guard rows.allSatisfy({ $0.count <= 1 }) else {
      var values = [T](repeating: 0, count: table.codes * range.count)
      for (code, row) in rows.enumerated() {
        for (index, bits) in row { values[code * range.count + index - first] = NumberStage.value(bits, as: T.self) }
      }
      return RowEncoder<T>.Segment(
        kind: .table, position: range.lowerBound, count: range.count, column: column, codes: table.codes,
        values: memory.keep(values))
    }
    return RowEncoder<T>.Segment(
      kind: .single, position: range.lowerBound, count: range.count, column: column, codes: table.codes,
      positions: memory.keep(rows.map { Int32(range.lowerBound + ($0.first.map { $0.index - first } ?? 0)) }),
      values: memory.keep(rows.map { $0.first.map { NumberStage.value($0.bits, as: T.self) } ?? 0 }))
  }
}
