import MartletCore
import MartletRepository
import MartletWire
import Synchronization
import Testing

@testable import MartletServices

/// A regressor of a number and a text, either of which may be missing; it notes what texts a batch brought.
private final class NotingPlan: ScoringPlan {
  let signature = ModelSignature(
    inputs: [.init(name: "number", type: .float32, shape: [1]), .init(name: "text", type: .text, shape: [1])],
    outputs: [.init(name: "value", type: .float32, shape: [1], role: .value)],
    columns: [
      .init(name: "number", input: 0, offset: 0, type: .float32, missingAllowed: true),
      .init(name: "text", input: 1, offset: 0, type: .text, missingAllowed: true),
    ])
  let summary = "noting"
  /// Bytes of texts that the last batch had stored, and the texts of its rows.
  let textBytes = Mutex(0)
  let texts = Mutex<[String]>([])

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    textBytes.withLock { $0 = tile.texts.bytes }
    let text = tile.input(1).assumingMemoryBound(to: TextRef.self)
    // A batch may be scored in parts.
    texts.withLock { $0 += rows.map { text[$0].string } }
    let value = tile.output(0).assumingMemoryBound(to: Float.self)
    for row in rows { value[row] = 0 }
  }
}

@Suite("Columns that a call leaves out")
struct MissingColumnsTests {
  private static let missing = String(repeating: "unknown ", count: 100)
  private static let rows = 1_000
  private let plan = NotingPlan()
  private let bench: ServiceBench

  init() {
    var configuration = ModelConfiguration()
    configuration.missing.text = Self.missing
    bench = ServiceBench(configuration: configuration, plan: plan)
  }

  private func request(ignoreExtra: Bool = false, _ columns: [String: Change]) -> [UInt8] {
    var message = ProtoBuffer()
    message.string(1, "fake")
    message.integer(3, Int64(Self.rows))
    for (name, values) in columns {
      message.message(4) { column in
        column.string(1, name)
        values(&column)
      }
    }
    message.bool(5, ignoreExtra)
    return message.bytes
  }

  private static let numbers: Change = { $0.floats(3, [Float](repeating: 1, count: rows)) }

  @Test("the text for missing values is stored once for a column, however many rows lack it")
  func storedOnce() throws {
    let none = [UInt8](repeating: 0, count: Self.rows / 8)
    var first = none
    first[0] = 1
    let columns: [(String, [String: Change], Int)] = [
      ("absent", ["number": Self.numbers], 0),
      ("without values", ["number": Self.numbers, "text": { [none] in $0.data(7, none) }], 0),
      (
        "with one value",
        [
          "number": Self.numbers,
          "text": { [first] column in
            column.element(5, "known")
            for _ in 1..<Self.rows { column.element(5, "") }
            column.data(7, first)
          },
        ], "known".utf8.count
      ),
    ]
    for (name, columns, known) in columns {
      plan.texts.withLock { $0 = [] }
      _ = try bench.call(bench.scoring, "Score", request(columns))
      #expect(plan.textBytes.withLock { $0 } == Self.missing.utf8.count + known, "\(name)")
      let texts = plan.texts.withLock { $0 }
      #expect(texts.count == Self.rows)
      #expect(texts.dropFirst(known > 0 ? 1 : 0).allSatisfy { $0 == Self.missing }, "\(name)")
    }
  }

  @Test("a call that brings none of the model's columns is refused, though each of them may be missing")
  func noneOfThem() throws {
    for payload in [request([:]), request(ignoreExtra: true, ["other": Self.numbers])] {
      let refusal = try #require(bench.refusal(bench.scoring, "Score", payload))
      #expect(refusal.code == .invalidArgument)
      #expect(refusal.message.contains("none of model \"fake\""), "\(refusal.message)")
    }
    #expect(bench.refusal(bench.scoring, "Score", request(["number": Self.numbers])) == nil)
  }
}
