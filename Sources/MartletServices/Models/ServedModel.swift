import MartletBatching
import MartletRepository

/// What the services know of a model that a lane scores: the lane's owner.
final class ServedModel {
  let model: Model
  let form: ScoreForm
  let inferForm: InferForm

  init(_ model: Model) {
    self.model = model
    form = ScoreForm(model)
    inferForm = InferForm(model)
  }

  static func of(_ lane: Lane) -> ServedModel {
    // `ReactorModels` makes every lane, with one of these as its owner.
    unsafeDowncast(lane.owner, to: ServedModel.self)
  }
}

/// A lane with what the services read of its model for every call, without reference counting.
///
/// Valid until the reactor's models change, which no call spans.
struct ServedLane {
  unowned(unsafe) let lane: Lane
  unowned(unsafe) let model: Model
  unowned(unsafe) let inferForm: InferForm

  init(_ lane: Lane) {
    self.lane = lane
    model = ServedModel.of(lane).model
    inferForm = ServedModel.of(lane).inferForm
  }
}
