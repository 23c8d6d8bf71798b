import Foundation
import MartletCore
import Testing

@testable import MartletClient

/// The real command against the real server, with the repository's models.
@Suite(.serialized) struct EndToEndTests {
  private static let models = ["credit-risk", "caravan-response"]

  private func golden(_ model: String) -> String { "models/\(model)/1/golden.csv" }

  @Test("a server and this process give the same bits for every row of both models, in every format")
  func sameBits() async throws {
    try await CommandRun.withServer { url in
      for model in Self.models {
        for format in ["csv", "json", "table"] {
          let common = ["score", model, golden(model), "--ignore-extra", "--format", format]
          let remote = try await run(common + ["--server", url])
          // Other batches, other neighbours: the same answers.
          let local = try await run(common + ["--models", "models", "--batch-rows", "7"])
          #expect(remote.status == 0, "\(remote.errors)")
          #expect(local.status == 0, "\(local.errors)")
          #expect(remote.output == local.output)
          #expect(remote.lines.count >= 50)
        }
      }
    }
  }

  @Test("the golden rows get the training library's scores", arguments: Self.models)
  func goldenScores(model: String) async throws {
    let classes = model == "credit-risk" ? ["bad", "good"] : ["0", "1"]
    let expected = ["expected_label"] + classes.map { "expected_probability_" + $0 }
    let result = try await run(
      ["score", model, golden(model), "--models", "models", "--format", "csv"] + expected.flatMap { ["--keep", $0] })
    #expect(result.status == 0, "\(result.errors)")
    let (columns, rows) = try read(result.output)
    #expect(columns == expected + ["label"] + classes.map { "probability_" + $0 } + ["decision"])
    #expect(rows.count == 50)
    for case .row(let cells) in rows {
      #expect(cells[0] == cells[3])
      for place in 1...2 {
        let wanted = try #require(Double(cells[place] ?? ""))
        let got = try #require(Double(cells[place + 3] ?? ""))
        #expect(abs(wanted - got) <= 1e-6)
      }
    }
  }

  @Test("a row on the command line, from standard input as JSON, and from a CSV is the same row")
  func sources() async throws {
    let text = try String(contentsOfFile: CommandRun.root + "/" + golden("credit-risk"), encoding: .utf8)
    let (columns, rows) = try read(text)
    guard case .row(let cells) = rows[0] else {
      Issue.record("the first golden row cannot be read")
      return
    }
    let description = try await run(["describe", "credit-risk", "--models", "models", "--format", "csv"])
    let features = try read(description.output).rows
    let types = Dictionary(
      uniqueKeysWithValues: features.compactMap { row -> (String, String)? in
        guard case .row(let cells) = row, let name = cells[0], let type = cells[1] else { return nil }
        return (name, type)
      })
    var members: [String: Any] = [:]
    for (column, cell) in zip(columns, cells) {
      guard let type = types[column], let cell, !cell.isEmpty else { continue }
      members[column] = type == "text" ? cell : Double(cell)
    }
    let json = String(decoding: try JSONSerialization.data(withJSONObject: members), as: UTF8.self)
    let fromCSV = try await run(
      ["score", "credit-risk", golden("credit-risk"), "--ignore-extra", "--format", "json"] + local)
    let fromRow = try await run(["score", "credit-risk", "--row", json, "--format", "json"] + local)
    let fromInput = try await CommandRun.run(
      "score", "credit-risk", "-", "--format", "json", "--models", "models", input: json + "\n")
    #expect(fromRow.status == 0, "\(fromRow.errors)")
    #expect(fromRow.lines == Array(fromCSV.lines.prefix(1)))
    #expect(fromInput.output == fromRow.output)
  }

  @Test("under skip the bad rows go to the rejects and the others are scored; under stop the run ends at the first")
  func rejects() async throws {
    var lines = try String(contentsOfFile: CommandRun.root + "/" + golden("caravan-response"), encoding: .utf8)
      .split(separator: "\n").map(String.init)
    let good = lines
    lines[3] = "many" + lines[3].drop { $0 != "," }
    lines[10] += ",surplus"
    try await CommandRun.withDirectory { directory in
      try (lines.joined(separator: "\n") + "\n").write(
        toFile: directory + "/rows.csv", atomically: true, encoding: .utf8)
      try (good.joined(separator: "\n") + "\n").write(
        toFile: directory + "/good.csv", atomically: true, encoding: .utf8)
      let common = ["--ignore-extra", "--format", "csv"] + local
      let whole = try await run(["score", "caravan-response", directory + "/good.csv"] + common)
      let skip = try await run(
        [
          "score", "caravan-response", directory + "/rows.csv", "--on-error", "skip", "--rejects",
          directory + "/bad.csv",
        ]
          + common)
      #expect(skip.status == 1)
      #expect(skip.errors.hasPrefix("martlet: 2 of 50 rows were rejected\n"))
      var expected = whole.lines
      expected.remove(at: 10)
      expected.remove(at: 3)
      #expect(skip.lines == expected)
      let rejected = try read(String(contentsOfFile: directory + "/bad.csv", encoding: .utf8))
      #expect(rejected.columns == ["row", "line", "column", "reason", "original"])
      #expect(
        rejected.rows == [
          .row(["3", "4", "MOSTYPE", "\"many\" came, expected a number", lines[3]]),
          .row(["10", "11", "", "89 fields came, expected 88 as in the first line", lines[10]]),
        ])
      let stop = try await run(["score", "caravan-response", directory + "/rows.csv"] + common)
      #expect(stop.status == 1)
      #expect(stop.lines == Array(whole.lines.prefix(3)))
      #expect(
        stop.errors
          == "martlet: row 3 (line 4), column \"MOSTYPE\": \"many\" came, expected a number\n"
          + "  try: --on-error skip --rejects FILE scores the other rows and writes the bad ones to FILE\n")
    }
  }

  @Test("a server that is restarted while a file is scored costs no row")
  func restart() async throws {
    let lines = try String(contentsOfFile: CommandRun.root + "/" + golden("credit-risk"), encoding: .utf8)
      .split(separator: "\n").map(String.init)
    let rows = (0..<120).flatMap { _ in lines.dropFirst() }
    try await CommandRun.withDirectory { directory in
      let path = directory + "/rows.csv"
      try ((lines.prefix(1) + rows).joined(separator: "\n") + "\n").write(
        toFile: path, atomically: true, encoding: .utf8)
      let common = ["score", "credit-risk", path, "--ignore-extra", "--format", "csv"]
      var server = try CommandRun.Server(socket: directory + "/s")
      let url = server.url
      async let scoring = CommandRun.run(
        common + ["--server", url, "--batch-rows", "4", "--timeout", "300s"], in: directory)
      // Before the first scores it may not have reached a server yet, and does not wait for one as long. A file that is
      // not there yet holds no scores either.
      let output = URL(fileURLWithPath: directory + "/out")
      for _ in 0..<3_000 {
        guard (try? Data(contentsOf: output))?.isEmpty ?? true else { break }
        try await Task.sleep(for: .milliseconds(20))
      }
      for _ in 0..<2 {
        server.stop()
        server = try CommandRun.Server(socket: directory + "/s")
        try await Task.sleep(for: .milliseconds(150))
      }
      let remote = try await scoring
      server.stop()
      let here = try await run(common + local)
      #expect(remote.status == 0, "\(remote.errors)")
      #expect(remote.output == here.output)
      #expect(remote.lines.count == rows.count + 1)
    }
  }

  @Test("models, describe and health speak of the server's models")
  func questions() async throws {
    try await CommandRun.withServer { url in
      let models = try await CommandRun.run("models", "--format", "csv", environment: ["MARTLET_SERVER": url])
      #expect(models.status == 0, "\(models.errors)")
      #expect(
        models.lines == [
          "name,version,state,reason", "caravan-response,1,READY,", "credit-risk,1,READY,",
        ])
      let described = try await run(["describe", "credit-risk", "--server", url, "--format", "json"])
      #expect(described.status == 0, "\(described.errors)")
      let object = try JSONSerialization.jsonObject(with: Data(described.output.utf8)) as? [String: Any]
      #expect((object?["columns"] as? [Any])?.count == 20)
      #expect(object?["model"] as? String == "credit-risk")
      let here = try await run(["describe", "credit-risk", "--models", "models", "--format", "json"])
      #expect(here.output == described.output)
      let table = try await run(["describe", "credit-risk", "--server", url])
      #expect(table.output.contains("age_in_years"))
      let health = try await run(["health", "--server", url])
      #expect(health.status == 0)
      #expect(health.output == "SERVING\n")
      let one = try await run(["health", "--model", "caravan-response", "--server", url, "--format", "json"])
      #expect(one.output == "{\"status\": \"SERVING\"}\n")
      let none = try await run(["health", "--model", "nothing", "--server", url])
      #expect(none.status == 4)
      let unknown = try await run(["score", "nothing", "--row", "{}", "--server", url])
      #expect(unknown.status == 4)
      #expect(unknown.errors.contains("NOT_FOUND"))
      #expect(unknown.errors.contains("  try: martlet models lists"))
    }
  }

  @Test("wrong use, no server and unreadable files have their exit codes, and say what to try")
  func exitCodes() async throws {
    let nobody = "ttrpc://127.0.0.1:\(ScriptedServer.closedPort())"
    let unreachable = try await run(["health", "--server", nobody])
    #expect(unreachable.status == 3)
    #expect(unreachable.errors.contains("Connection refused"))
    #expect(unreachable.errors.contains("  try: is the server running"))
    for arguments in [
      ["bogus"], ["score"], ["score", "m", "--row", "{}", "--server", "grpc://h:1"],
      ["score", "m", "--batch-rows", "0"],
      ["score", "m", "f.csv", "--row", "{}"], ["score", "m", "no-such-file.csv"], ["score", "m", "--rejects", "x"],
      ["score", "m", "--models", "no-such-directory", "--row", "{}"], ["health", "--timeout", "soon"],
      ["score", "credit-risk", "--models", "models", "models/credit-risk/model.yaml"],
    ] {
      let result = try await run(arguments)
      #expect(result.status == 2, "\(arguments): \(result.errors)")
      #expect(!result.errors.isEmpty)
      #expect(result.output.isEmpty)
    }
  }

  @Test("describe --plan measures a model here: by its path, or by its name in a directory")
  func plan() async throws {
    let path = try await run(["describe", "models/credit-risk/1", "--plan", "--format", "json"])
    #expect(path.status == 0, "\(path.errors)")
    let object = try JSONSerialization.jsonObject(with: Data(path.output.utf8)) as? [String: Any]
    let cost = try #require(object?["cost"] as? [String: Any])
    #expect(try #require(cost["nanoseconds_per_row"] as? Double) > 0)
    let name = try await run(["describe", "caravan-response", "--models", "models", "--plan", "--format", "csv"])
    #expect(name.status == 0, "\(name.errors)")
    let (columns, rows) = try read(name.output)
    let batch = try #require(columns.firstIndex(of: "batch"))
    let sizes = rows.compactMap { row -> String? in
      guard case .row(let cells) = row else { return nil }
      return cells[batch]
    }
    #expect(sizes == ["1", "8", "64", "512"])
    let table = try await run(["describe", "models/caravan-response", "--plan"])
    #expect(table.output.contains("500 trees"))
    let remote = try await run(["describe", "credit-risk", "--plan", "--server", "ttrpc://127.0.0.1:1"])
    #expect(remote.status != 0)
    #expect(remote.errors.contains("--plan"))
  }

  @Test("help, version and completions go to standard output")
  func help() async throws {
    let version = try await run(["version", "--format", "json"])
    #expect(version.status == 0)
    #expect(version.output.hasPrefix("{\"version\": \""))
    for command in ["score", "models", "describe", "health", "verify"] {
      let help = try await run([command, "--help"])
      #expect(help.status == 0)
      #expect(help.output.contains("Examples:"))
      #expect(help.output.contains("Exit codes:"))
      #expect(help.errors.isEmpty)
    }
    let completions = try await run(["--generate-completion-script", "bash"])
    #expect(completions.status == 0)
    #expect(completions.output.contains("credit") == false)
    #expect(completions.output.contains("--on-error"))
  }

  private var local: [String] { ["--models", "models"] }

  private func run(_ arguments: [String]) async throws -> CommandRun.Result {
    try await CommandRun.run(arguments)
  }
}
