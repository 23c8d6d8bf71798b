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
  /// Elements of sources of numbers, each of which can be looked up in one way only.
  private var kinds: [[Int]: CodeSource.Kind] = [:]

  /// Rows beyond this width are left to the operators.
  private static let maximumWidth = 1 << 14

  /// Follows all `items` but those whose number is in `blocked`.
  init(_ items: [StepList.Item], _ context: RewriteContext, blocked: Set<Int>) {
    self.context = context
    for (index, item) in items.enumerated() where !blocked.contains(index) { follow(item) }
  }

  private func follow(_ item: StepList.Item) {
    guard let node = context.node(item), let rule = ElementRules(node, item, self) else { return }
    for (slot, elements) in zip(item.outputs, rule.outputs) where slot >= 0 {
      guard let elements else { continue }
      values[Int(slot)] = elements
    }
  }

  /// The elements of a row of the value in `slot`: as they are followed, or the value's own.
  func elements(_ slot: Int) -> [RowElement]? {
    if let elements = values[slot] { return elements }
    guard context.run.constants[slot] == nil, let tail = context.tail(slot) else { return nil }
    let width = tail.reduce(1, *)
    guard width > 0, width <= Self.maximumWidth else { return nil }
    let type = context.type(slot)
    switch type {
    case .text:
      return (0..<width).map {
        .code(source(CodeSource(slot: slot, element: $0, type: type, kind: .texts)))
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

  /// The source of an element that is a number itself, for lookups of `kind`; nil when it is looked up in another way.
  func source(of element: RowElement, _ kind: CodeSource.Kind) -> Int? {
    guard case .number(let index) = element, terms[index].isUnchanged else { return nil }
    let term = terms[index]
    guard kinds[[term.slot, term.element], default: kind] == kind else { return nil }
    kinds[[term.slot, term.element]] = kind
    return source(CodeSource(slot: term.slot, element: term.element, type: term.type, kind: kind))
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
  }

  func keys(_ kind: CodeSource.Kind) -> CodeDictionary.Keys {
    switch kind {
    case .texts: .texts(texts)
    case .integers: .integers(integers)
    case .reals: .reals(reals)
    }
  }
}
