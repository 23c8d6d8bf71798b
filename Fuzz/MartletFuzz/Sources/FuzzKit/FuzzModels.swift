import Logging
import MartletCore
import MartletRepository

/// The models that the streams call: three without a file, and those of a directory that load.
enum FuzzModels {
  static let mixed = model("mixed", MixedPlan()) { configuration in
    configuration.decision = .init(class: "yes", threshold: 0.5)
    configuration.missing.text = "unknown"
  }
  static let echo = model("echo", EchoPlan()) { _ in }
  /// Small batches that wait for more, so that calls are split, joined and scored elsewhere.
  static let numbers = model("numbers", NumbersPlan()) { configuration in
    configuration.batching.maxQueueDelay = .microseconds(50)
    configuration.batching.preferredRows = 8
    configuration.batching.maxRows = 16
  }

  static func catalogue(withOlder: Bool, real: [Catalogue.Entry]) -> Catalogue {
    var entries = [mixed, echo, numbers].map { Catalogue.Entry(name: $0.name, versions: [$0], reason: "") }
    entries.append(.init(name: "damaged", versions: [], reason: "version 1: malformed"))
    if withOlder {
      entries[1] = .init(name: "echo", versions: [echo, model("echo", EchoPlan(), version: 0) { _ in }], reason: "")
    }
    return Catalogue(entries + real)
  }

  /// What loads of the models of a directory.
  static func real(in directory: String) throws(Status) -> [Catalogue.Entry] {
    let repository = ModelRepository(options: .init(directory: directory), logger: quiet)
    try repository.reloadAndWait()
    return repository.catalogue.entries.filter { !$0.versions.isEmpty }
  }

  static let quiet = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }

  private static func model(
    _ name: String, _ plan: any ScoringPlan, version: Int = 1, _ configure: (inout ModelConfiguration) -> Void
  ) -> Model {
    var configuration = ModelConfiguration()
    configure(&configuration)
    return Model(
      name: name, version: version, plan: plan, configuration: configuration, format: "fuzz", digest: "00",
      fileBytes: 1, loadSeconds: 0, loadedAt: 0)
  }
}
