import ArgumentParser
import MartletClient
import MartletCore

/// Who scores: a server, or this process with models from a directory.
struct ScorerOptions: ParsableArguments {
  @OptionGroup var server: ServerOptions

  @Option(
    help: ArgumentHelp(
      "Do without a server: load the models of this directory into this process and use all cores.", valueName: "dir"),
    completion: .directory)
  var models: String?

  func validate() throws {
    guard models == nil || server.server.isEmpty else {
      throw ValidationError("--models and --server exclude each other: a directory is scored without a server.")
    }
  }

  func transport() throws -> any ScoreTransport {
    if let models { return try LocalScoreTransport(models: models) }
    return RemoteScoreTransport(try server.client())
  }
}
