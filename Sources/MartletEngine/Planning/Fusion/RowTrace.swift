import MartletCore

/// Follows every element of a row from the values that steps have to make through the steps that an encoder can stand
/// for: those that move elements, look them up, or compute number by number.
final class RowTrace {
  let context: RewriteContext
  /// The elements of a row of each value that an encoder can make, by slot.
  private(set) var values: [Int: [RowElement]] = [:]
  private(set) var terms: [NumberTerm] = []
  private(set) var sources: [CodeSource] = []
  /// The keys that each source is looked up by, in the order of their appearance.
  private(set) var keys: [CodeKeys] = []
  private var termIndex: [NumberTerm: Int] = [:]
  private var sourceIndex: [CodeSource: Int] = [:]
  /// Numbers that are looked up, each in one way only.
  private var kinds: [NumberTerm: CodeSource.Kind] = [:]
  /// Values whose numbers are looked up by what reads them.
  private(set) var cuts: Set<Int> = []

  private var ownElements: [Int: [RowElement]] = [:]
  /// Elements that may still be followed: what a graph of many wide values could take is bounded.
  private var budget = 1 << 22

  /// Rows beyond this width are left to the operators.
  private static let maximumWidth = 1 << 14

  /// Follows all `items` but those whose number is in `blocked`.
  init(_ items: [StepList.Item], _ context: RewriteContext, blocked: Set<Int>) {
    self.context = context
    for (index, item) in items.enumerated() where !blocked.contains(index) { follow(item) }
  }

  private func follow(_ item: StepList.Item) {
    guard budget > 0, let node = context.node(item), let rule = ElementRules(node, item, self) else { return }
    for (slot, elements) in zip(item.outputs, rule.outputs) where slot >= 0 {
      guard let elements else { continue }
      budget -= elements.count
      values[Int(slot)] = elements
    }
  }

  /// The elements of a row of the value in `slot`: as they are followed, or the value's own.
  func elements(_ slot: Int) -> [RowElement]? {
    if let elements = values[slot] ?? ownElements[slot] { return elements }
    let elements = makeElements(slot)
    ownElements[slot] = elements
    budget -= elements?.count ?? 0
    return elements
  }

  private func makeElements(_ slot: Int) -> [RowElement]? {
    guard context.run.constants[slot] == nil, let tail = context.tail(slot) else { return nil }
    let width = tail.reduce(1, *)
    guard width > 0, width <= Self.maximumWidth else { return nil }
    let type = context.type(slot)
    switch type {
    case .text:
      return (0..<width).map {
        .code(
          source(
            CodeSource(
              term: NumberTerm(slot: slot, element: $0, source: type, type: type, stages: []), kind: .texts)))
      }
    case .float32, .float64, .int64, .int32:
      return (0..<width).map {
        .number(term(NumberTerm(slot: slot, element: $0, source: type, type: type, stages: [])))
      }
    default: return nil
    }
  }

  func term(_ term: NumberTerm) -> Int {
    if let index = termIndex[term] { return index }
    terms.append(term)
    termIndex[term] = terms.count - 1
    return terms.count - 1
  }

  /// Whether the numbers of the value in `slot` may be looked up: it has nothing else, so that it can be made up.
  func areNumbers(_ slot: Int) -> Bool {
    elements(slot)?.allSatisfy { if case .number = $0 { true } else { false } } == true
  }

  /// The source of an element of the value in `slot`, which has only numbers, for lookups of `kind`; nil when it is
  /// looked up in another way.
  func source(of element: RowElement, in slot: Int, _ kind: CodeSource.Kind) -> Int? {
    guard case .number(let index) = element, kinds[terms[index], default: kind] == kind else { return nil }
    kinds[terms[index]] = kind
    cuts.insert(slot)
    return source(CodeSource(term: terms[index], kind: kind))
  }

  /// The source that a number is looked up as; nil when it is not.
  func source(of term: NumberTerm) -> Int? {
    kinds[term].flatMap { sourceIndex[CodeSource(term: term, kind: $0)] }
  }

  private func source(_ source: CodeSource) -> Int {
    if let index = sourceIndex[source] { return index }
    sources.append(source)
    keys.append(CodeKeys())
    sourceIndex[source] = sources.count - 1
    return sources.count - 1
  }

  func addKeys(_ keys: CodeKeys, to source: Int) { self.keys[source].formUnion(keys) }
}

/// Keys of one kind, all different.
struct CodeKeys {
  private(set) var texts: [[UInt8]] = []
  private(set) var integers: [Int64] = []
  private(set) var reals: [Double] = []
  /// Bits of numbers that others are compared with; 0 and -0 are two.
  private var bounds: Set<UInt64> = []
  private var seenTexts: Set<[UInt8]> = []
  private var seenNumbers: Set<UInt64> = []

  init() {}

  init(texts: ConstantTensor) {
    for text in texts.array(of: TextRef.self) { add(Array(text.bytes)) }
  }

  init(integers: [Int64]) {
    for integer in integers { add(integer) }
  }

  init(reals: [Double]) {
    for real in reals { add(real) }
  }

  /// Numbers that others are compared with, and those around which arithmetic changes its ways.
  init(bounds: [Double]) {
    for bound in bounds + [-.infinity, -0.0, 0, .infinity] where !bound.isNaN { self.bounds.insert(bound.bitPattern) }
  }

  mutating func add(_ text: [UInt8]) {
    if seenTexts.insert(text).inserted { texts.append(text) }
  }

  mutating func add(_ integer: Int64) {
    if seenNumbers.insert(UInt64(bitPattern: integer)).inserted { integers.append(integer) }
  }

  mutating func add(_ real: Double) {
    if seenNumbers.insert(CodeDictionary.pattern(real)).inserted { reals.append(real) }
  }

  mutating func formUnion(_ other: CodeKeys) {
    for text in other.texts { add(text) }
    for integer in other.integers { add(integer) }
    for real in other.reals { add(real) }
    bounds.formUnion(other.bounds)
  }

  func keys(_ kind: CodeSource.Kind) -> CodeDictionary.Keys {
    switch kind {
    case .texts: .texts(texts)
    case .integers: .integers(integers)
    case .reals: .reals(reals)
    case .intervals: .intervals(bounds.map { IntervalTable.order(Double(bitPattern: $0)) }.sorted())
    }
  }
}
