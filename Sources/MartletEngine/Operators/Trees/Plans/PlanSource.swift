/// An ensemble on its way to plans: what several kinds are made from is made once.
///
/// Confined to the thread that plans.
final class PlanSource<Value: TreeValue> {
  let ensemble: TreeEnsemble<Value>
  let aggregate: TreeAggregate

  /// The ensemble on codes of one byte; nil when it does not fit them, or leaves are not summed.
  private(set) lazy var coded = isSum ? Value.coded(ensemble, .byte) : nil
  /// The ensemble on codes of two bytes.
  private(set) lazy var codedWide = isSum ? Value.coded(ensemble, .word) : nil

  init(_ ensemble: TreeEnsemble<Value>, _ aggregate: TreeAggregate) {
    self.ensemble = ensemble
    self.aggregate = aggregate
  }

  private var isSum: Bool { aggregate == .sum || aggregate == .average }

  /// The ensemble on codes of one byte when no tree has more leaves than a byte counts.
  var codedSmall: CodedTrees<Value>? {
    guard let coded, coded.trees.allSatisfy({ $0.leaves <= 256 }) else { return nil }
    return coded
  }
}
