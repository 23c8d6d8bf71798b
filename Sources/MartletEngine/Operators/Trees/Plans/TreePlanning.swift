import MartletCore

/// The planning of all tree ensembles of one model: what was asked for, the time that is left, and what came out.
///
/// Confined to the thread that loads the model.
final class TreePlanning {
  let options: PlanningOptions
  /// Nanoseconds of a monotonic clock.
  let clock: () -> UInt64
  private(set) var reports: [EnsembleReport] = []
  /// Whether ensembles whose rows other steps make are planned when those are known (`PostponedTrees`).
  let mayPostpone: Bool
  /// Whether the next ensemble is one of them.
  var isPostponing = false
  /// Time that may still be spent.
  private(set) var nanosecondsLeft: UInt64
  /// Ensembles that are still to come, the current one included.
  private var ensemblesLeft: Int

  init(
    _ options: PlanningOptions, ensembles: Int = 1, mayPostpone: Bool = false,
    clock: @escaping () -> UInt64 = { MonotonicTime.now().nanoseconds }
  ) {
    self.options = options
    self.clock = clock
    self.mayPostpone = mayPostpone
    nanosecondsLeft = options.measuringNanoseconds
    ensemblesLeft = max(1, ensembles)
  }

  /// What the next ensemble may take: an equal part of what is left.
  var share: UInt64 { nanosecondsLeft / UInt64(ensemblesLeft) }

  /// Takes note of an ensemble that is planned.
  func finish(_ report: EnsembleReport) {
    reports.append(report)
    ensemblesLeft = max(1, ensemblesLeft - 1)
  }

  /// Takes the time from `began` until now off what is left, and returns it.
  @discardableResult
  func spend(since began: UInt64) -> UInt64 {
    let now = clock()
    let spent = now > began ? now - began : 0
    nanosecondsLeft -= min(nanosecondsLeft, spent)
    return spent
  }
}
