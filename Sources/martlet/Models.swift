import ArgumentParser
import MartletClient

/// `martlet models`: what a server, or a directory, has.
struct Models: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the models of a server, and say why one is not ready.",
    discussion: """
      Examples:
        martlet models
        martlet models --server ttrpc://10.0.0.7:8001 --format json
        martlet models --models models

      \(ExitStatus.table)
      """)

  @OptionGroup var scorer: ScorerOptions

  @Option(help: "How the list is written: table, json or csv.")
  var format = OutputFormat.table

  func run() async throws {
    let columns = ["name", "version", "state", "reason"]
    var rows: [[OutputCell]] = []
    if let directory = scorer.models {
      for state in try LocalScoreTransport(models: directory).scorer.states {
        rows.append([.text(state.name), .text(state.version), .text(state.state), .text(state.reason)])
      }
    } else {
      let client = try scorer.server.client()
      let models = try await client.models()
      await client.close()
      rows = models.map { [.text($0.name), .text($0.version), .text($0.state), .text($0.reason)] }
    }
    var output = OutputFile()
    guard format != .json else {
      let objects = rows.map { row in JSONText.object(zip(columns, row).map { ($0, $1.json) }) }
      try output.write(JSONText.array(objects) + "\n")
      try output.flush()
      return
    }
    try format.write(columns, rows, &output)
  }
}
