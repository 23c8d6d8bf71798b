import MartletBatching
import MartletCore
import MartletRepository
import Synchronization

/// One reactor's own view of the models: its reference to the catalogue and a lane for each model.
///
/// Confined to its reactor, but for `collect`.
public final class ReactorModels: MetricSource, @unchecked Sendable {
  // `@unchecked Sendable`: `catalogue` and `lanes` are touched on the reactor's thread only; scrapes read `statistics`.
  public private(set) var catalogue = Catalogue([])
  private var lanes: [Lane] = []
  /// The lanes as the services read them for every call; rebuilt with `lanes`, which keeps the objects.
  private var served: UnsafeMutablePointer<ServedLane> = .allocate(capacity: 1)
  /// Counts the catalogues: what points into the lanes is of one of them.
  private(set) var generation: UInt64 = 0
  private let limits: BatchLimits
  private let statistics = Mutex<[LaneStatistics]>([])

  public init(limits: BatchLimits) { self.limits = limits }

  deinit { served.deallocate() }

  /// Serves a new catalogue from now on. A model that stays the same object keeps its lane and what it learned;
  /// batches of a lane that goes are still answered.
  public func serve(_ catalogue: Catalogue) {
    let old = lanes
    let known = statistics.withLock { $0 }
    lanes = catalogue.models.map { model in
      if let lane = old.first(where: { ServedModel.of($0).model === model }) { return lane }
      let numbers =
        known.first { $0.model == model.name && $0.version == model.versionText }
        ?? LaneStatistics(model: model.name, version: model.versionText)
      return Lane(
        plan: model.plan, owner: ServedModel(model), limits: limits(of: model), statistics: numbers,
        weight: model.configuration.weight)
    }
    for lane in old where !lanes.contains(where: { $0 === lane }) { lane.retire() }
    statistics.withLock { $0 = lanes.map(\.statistics) }
    self.catalogue = catalogue
    generation &+= 1
    served.deallocate()
    served = .allocate(capacity: lanes.count + 1)
    for (index, lane) in lanes.enumerated() { (served + index).initialize(to: ServedLane(lane)) }
  }

  private func limits(of model: Model) -> BatchLimits {
    var limits = limits
    let batching = model.configuration.batching
    if let rows = batching.maxRows { limits.maximumRows = max(1, min(rows, limits.maximumRows)) }
    limits.preferredRows = batching.preferredRows ?? limits.maximumRows
    limits.maximumDelayNanoseconds = batching.maxQueueDelay.wholeNanoseconds
    return limits
  }

  /// The lane of the model that a caller named. Errors as `Catalogue.find`.
  func find(name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer) throws(Status) -> Lane {
    lanes[try catalogue.find(name: name, version: version)]
  }

  /// The same; nil where `find` has an error to tell.
  func served(name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer) -> UnsafePointer<ServedLane>? {
    guard let position = catalogue.position(name: name, version: version) else { return nil }
    return UnsafePointer(served + position)
  }

  public func collect(into collector: inout MetricCollector) {
    for lane in statistics.withLock({ $0 }) { lane.collect(into: &collector) }
  }
}
