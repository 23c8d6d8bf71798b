import ArgumentParser
import MartletServer

/// `martlet version`: which build this is.
struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Say which version of Martlet this is.")

  @Option(help: "How it is written: table, json or csv.")
  var format = OutputFormat.table

  func run() throws {
    var output = OutputFile()
    switch format {
    case .table: try output.write("martlet \(Version.text)\n")
    case .json: try output.write(JSONText.object([("version", JSONText.string(Version.text))]) + "\n")
    case .csv: try output.write("version\n\(Version.text)\n")
    }
    try output.flush()
  }
}
