import MartletBatching
import MartletCore
import MartletRepository

/// What the services know of a model that a lane scores: the lane's owner.
final class ServedModel {
  let model: Model
  let form: ScoreForm
  let inferForm: InferForm
  let inferAnswers: InferAnswers

  init(_ model: Model) {
    self.model = model
    form = ScoreForm(model)
    inferForm = InferForm(model)
    inferAnswers = InferAnswers(inferForm)
  }

  static func of(_ lane: Lane) -> ServedModel {
    // `ReactorModels` makes every lane, with one of these as its owner.
    unsafeDowncast(lane.owner, to: ServedModel.self)
  }

  /// The owner of a batch's lane, which both live at least as long as the batch.
  @inline(__always)
  static func of(_ batch: Batch) -> Unmanaged<ServedModel> {
    Unmanaged.passUnretained(batch.lane)._withUnsafeGuaranteedRef { Unmanaged.passUnretained(of($0)) }
  }
}

/// A lane with what the services read of its model for every call, without reference counting.
///
/// Valid until the reactor's models change, which no call spans.
struct ServedLane {
  let lane: Unmanaged<Lane>
  unowned(unsafe) let model: Model
  unowned(unsafe) let form: ScoreForm
  unowned(unsafe) let inferForm: InferForm

  init(_ lane: Lane) {
    self.lane = .passUnretained(lane)
    let served = ServedModel.of(lane)
    model = served.model
    form = served.form
    inferForm = served.inferForm
  }
}
