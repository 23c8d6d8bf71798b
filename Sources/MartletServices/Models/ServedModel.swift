import MartletBatching
import MartletRepository

/// What the services know of a model that a lane scores: the lane's owner.
final class ServedModel {
  let model: Model
  let form: ScoreForm

  init(_ model: Model) {
    self.model = model
    form = ScoreForm(model)
  }

  static func of(_ lane: Lane) -> ServedModel {
    // `ReactorModels` makes every lane, with one of these as its owner.
    unsafeDowncast(lane.owner, to: ServedModel.self)
  }
}
