import MartletCore

/// Puts an encoder in place of the steps that make a model's rows of features from columns, and lets a linear model
/// behind it add the weights of categories instead of reading rows.
enum EncodingRewrite: PlanRewrite {
  static func apply(_ items: [StepList.Item], _ context: RewriteContext) -> [StepList.Item]? {
    var blocked: Set<Int> = []
    while true {
      let trace = RowTrace(items, context, blocked: blocked)
      let (targets, live) = needs(items, trace)
      guard !targets.isEmpty else { return nil }
      var encodings: [Int: Encoding] = [:]
      var refused = false
      for target in targets {
        guard let producer = items.firstIndex(where: { $0.outputs.contains(Int32(target)) }) else { return nil }
        if let encoding = Encoding(target, producer, items, trace) {
          encodings[producer] = encoding
        } else {
          // The step remains, and what it reads may be encoded instead.
          blocked.insert(producer)
          refused = true
        }
      }
      if refused { continue }
      return assembled(items, encodings, live, context)
    }
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
        case .code(let source): trace.sources[source].slot
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
    var result: [StepList.Item] = []
    for (index, item) in items.enumerated() {
      if let encoding = encodings[index], !skipped.contains(encoding.slot) { result.append(encoding.item) }
      guard live.contains(index) else { continue }
      if let (encoding, step) = linear[index] {
        result.append(
          StepList.Item(
            run: step, label: item.label, node: -1, inputs: encoding.inputs, outputs: item.outputs))
      } else {
        result.append(item)
      }
    }
    return result
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

  /// Nil when the value is none that an encoder makes, or nothing is gained.
  init?(_ slot: Int, _ producer: Int, _ items: [StepList.Item], _ trace: RowTrace) {
    let context = trace.context
    guard let elements = trace.values[slot], let tail = context.tail(slot) else { return nil }
    let type = context.type(slot)
    guard type == .float32 || type == .float64 else { return nil }
    let (steps, leaves) = Self.cone(slot, items, trace)
    guard let tables = CodeTables(slot, steps, leaves: leaves, trace) else { return nil }
    hasCodes = !tables.positions.isEmpty
    guard steps.count > 1 || hasCodes else { return nil }
    self.slot = slot
    label = items[producer].label
    self.tail = Shape([1] + tail)
    let maker = RowEncoderMaker(elements, tables, trace)
    inputs = maker.inputs.map(Int32.init)
    single = type == .float32 ? maker.encoder(Float.self) : nil
    double = type == .float64 ? maker.encoder(Double.self) : nil
    guard single != nil || double != nil, !inputs.isEmpty else { return nil }
  }

  /// The steps between the value and those that it is made of, and the latter.
  private static func cone(
    _ slot: Int, _ items: [StepList.Item], _ trace: RowTrace
  ) -> (steps: [StepList.Item], leaves: [Int]) {
    var needed: Set<Int> = [slot]
    var steps: [StepList.Item] = []
    for item in items.reversed() {
      let own = item.outputs.filter { $0 >= 0 && needed.contains(Int($0)) && trace.values[Int($0)] != nil }
      guard !own.isEmpty else { continue }
      steps.append(item)
      for input in item.inputs where input >= 0 && trace.context.run.constants[Int(input)] == nil {
        needed.insert(Int(input))
      }
    }
    return (steps.reversed(), needed.filter { trace.values[$0] == nil }.sorted())
  }

  var item: StepList.Item {
    let step = if let single { EncodingStep(single, tail) } else { EncodingStep(double!, tail) }
    return StepList.Item(run: step, label: label, node: -1, inputs: inputs, outputs: [Int32(slot)])
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

  init(_ elements: [RowElement], _ tables: CodeTables, _ trace: RowTrace) {
    self.elements = elements
    self.tables = tables
    self.trace = trace
    for source in tables.positions.keys.sorted() { add(trace.sources[source].slot) }
    for case .number(let term) in elements { add(trace.terms[term].slot) }
  }

  private mutating func add(_ slot: Int) {
    if !inputs.contains(slot) { inputs.append(slot) }
  }

  private func width(_ slot: Int) -> Int { trace.context.tail(slot)?.reduce(1, *) ?? 1 }

  func encoder<T: FloatElement & BitwiseCopyable>(_: T.Type) -> RowEncoder<T>? {
    let memory = PlanMemory()
    var columns: [RowEncoder<T>.Column] = []
    var dictionaries: [CodeDictionary] = []
    var columnOf: [Int: Int] = [:]
    for source in tables.positions.keys.sorted() {
      let own = trace.sources[source]
      let dictionary = CodeDictionary(trace.keys[source].keys(own.kind))
      columnOf[source] = columns.count
      dictionaries.append(dictionary)
      columns.append(
        RowEncoder<T>.Column(
          input: inputs.firstIndex(of: own.slot)!, element: own.element, width: width(own.slot), type: own.type,
          dictionary: .passUnretained(dictionary), refused: tables.refused[source].map { memory.keep($0) }))
    }
    var segments: [RowEncoder<T>.Segment] = []
    var stages: [RowEncoder<T>.Stage] = []
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
        let first = stages.count
        for (index, stage) in term.stages.enumerated() {
          stages.append(
            RowEncoder<T>.Stage(
              kind: stage.kind, a: memory.keep(run.map { NumberStage.value($0.stages[index].a, as: T.self) }),
              b: memory.keep(run.map { NumberStage.value($0.stages[index].b, as: T.self) })))
        }
        segments.append(
          RowEncoder<T>.Segment(
            kind: .numbers, position: position, count: run.count, values: memory.keep([T]()),
            input: inputs.firstIndex(of: term.slot)!, element: term.element, width: width(term.slot),
            type: term.source, stages: first..<stages.count))
      }
      position = end
    }
    return RowEncoder(
      width: elements.count, columns: columns, dictionaries: dictionaries, segments: segments, stages: stages,
      memory: memory)
  }

  /// The features at `range`, which are those from `first` on among the ones that the source makes.
  private func coded<T: FloatElement & BitwiseCopyable>(
    _ source: Int, _ column: Int, _ range: Range<Int>, first: Int, _ memory: PlanMemory, _: T.Type
  ) -> RowEncoder<T>.Segment {
    let all = tables.values[source]!
    let width = tables.positions[source]!.count
    let codes = width == 0 ? 0 : all.count / width
    let rows = (0..<codes).map { code in all[(code * width + first)..<(code * width + first + range.count)] }
    let isSingle = rows.allSatisfy { row in row.lazy.filter { $0 != 0 }.count <= 1 }
    guard isSingle else {
      return RowEncoder<T>.Segment(
        kind: .table, position: range.lowerBound, count: range.count, column: column, codes: codes,
        values: memory.keep(rows.joined().map { NumberStage.value($0, as: T.self) }))
    }
    var positions: [Int32] = []
    var values: [T] = []
    for row in rows {
      let found = row.firstIndex { $0 != 0 } ?? row.startIndex
      positions.append(Int32(range.lowerBound + found - row.startIndex))
      values.append(NumberStage.value(row[found], as: T.self))
    }
    return RowEncoder<T>.Segment(
      kind: .single, position: range.lowerBound, count: range.count, column: column, codes: codes,
      positions: memory.keep(positions), values: memory.keep(values))
  }
}
