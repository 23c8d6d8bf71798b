import MartletCore
import Testing

@testable import MartletRepository

/// Label 1 when `x` is above 0.5, and the chances 1 − x and x; `note` comes back as it went in.
private final class EchoPlan: ScoringPlan {
  let signature = ModelSignature(
    inputs: [
      .init(name: "x", type: .float32, shape: [1]), .init(name: "note", type: .text, shape: [1]),
    ],
    outputs: [
      .init(name: "output_label", type: .int64, shape: [], role: .label, classes: .integer([0, 1])),
      .init(name: "chances", type: .float32, shape: [2], role: .probability, classes: .integer([0, 1])),
      .init(name: "echo", type: .text, shape: [], role: .other),
    ],
    columns: [
      .init(name: "x", input: 0, offset: 0, type: .float32, missingAllowed: true),
      .init(name: "note", input: 1, offset: 0, type: .text, missingAllowed: false),
    ])
  let summary = "an echo"

  func makeScratch() -> PlanScratch { PlanScratch() }

  func score(_ tile: Tile, rows: Range<Int>, scratch: PlanScratch) throws(Status) {
    for row in rows {
      let x = tile.input(0).load(fromByteOffset: row * 4, as: Float.self)
      if x < 0 { throw Status(.invalidArgument, "x is negative") }
      tile.output(0).storeBytes(of: x > 0.5 ? 1 : 0, toByteOffset: row * 8, as: Int64.self)
      tile.output(1).storeBytes(of: 1 - x, toByteOffset: row * 8, as: Float.self)
      tile.output(1).storeBytes(of: x, toByteOffset: row * 8 + 4, as: Float.self)
      let note = tile.input(1).load(fromByteOffset: row * 16, as: TextRef.self)
      tile.output(2).storeBytes(of: note, toByteOffset: row * 16, as: TextRef.self)
    }
  }
}

@Suite("Verification")
struct ScoreVerifierTests {
  private func verify(
    _ rows: String, _ expected: String? = nil, _ tolerance: VerificationTolerance = .exact, ignoreExtra: Bool = false
  ) throws(InputError) -> VerificationReport {
    var configuration = ModelConfiguration()
    configuration.missing.text = "none"
    let verifier = ScoreVerifier(
      plan: EchoPlan(), configuration: configuration, tolerance: tolerance, ignoreExtra: ignoreExtra)
    return try verifier.verify(
      .init(bytes: ByteSource(Array(rows.utf8)), name: "rows.csv"),
      expected: expected.map { .init(bytes: ByteSource(Array($0.utf8)), name: "scores.csv") })
  }

  private func message(
    _ rows: String, _ expected: String? = nil, _ tolerance: VerificationTolerance = .exact
  ) -> String {
    do throws(InputError) {
      return "holds: \(try verify(rows, expected, tolerance).holds)"
    } catch {
      return error.description
    }
  }

  @Test("answers beside the rows and in a file of their own, under every name that an output has, are compared")
  func names() throws {
    let beside = try verify("x,note,expected_label,expected_probability_1\n0.25,a,0,0.25\n0.75,b,1,0.75\n")
    #expect(beside.holds)
    #expect(beside.rows == 2)
    #expect(beside.outputs.map(\.name) == ["label", "probability"])
    #expect(beside.outputs.map(\.values) == [2, 2])
    #expect(beside.outputs.map(\.equal) == [2, 2])
    #expect(beside.failure == nil)
    let apart = try verify(
      "note,x\na,0.25\n\"b, c\",0.75\n", "chances_0,expected_output_label,echo\n0.75,0,a\n0.25,1,\"b, c\"\n")
    #expect(apart.holds)
    #expect(apart.outputs.map(\.name) == ["probability", "label", "echo"])
  }

  @Test("a bit that differs is found when exact, and has its row, error and place when not")
  func bits() throws {
    let next = Float(0.75).nextUp
    let rows = "x,note,expected_probability_1\n0.25,a,0.25\n0.75,b,\(next)\n0.125,c,0.125\n"
    // The error is against what stands in the file, a decimal that only rounds to those bits.
    let written = try #require(Double("\(next)"))
    let exact = try verify(rows)
    #expect(!exact.holds)
    let output = exact.outputs[0]
    #expect(output.values == 3 && output.equal == 2 && output.beyond == 1)
    #expect(output.worstAbsolute?.row == 2)
    #expect(output.worstAbsolute?.column == "probability_1")
    #expect(output.worstAbsolute?.error == written - 0.75)
    #expect(output.worstRelative?.error == (written - 0.75) / written)
    #expect(
      exact.failure
        == "1 of 3 values are not as expected (tolerance exact); first row 2, probability_1: 0.75 came, expected \(next)"
    )
    let near = try verify(rows, nil, .standard)
    #expect(near.holds)
    #expect(near.outputs[0].equal == 2)
    #expect(try !verify("x,note,expected_probability_1\n0.25,a,0.2500011\n", nil, .standard).holds)
  }

  @Test("what a library computed in double is the same bits once rounded to the output's type")
  func doubles() throws {
    let report = try verify("x,note,expected_probability_1\n0.1,a,0.1\n0.3,b,0.30000000000000004\n")
    #expect(report.outputs[0].equal == 2)
    #expect(report.holds)
    #expect(report.outputs[0].worstAbsolute != nil)
  }

  @Test("missing values, NaN, infinity and the sign of zero are told apart")
  func special() throws {
    let report = try verify(
      "x,note,expected_probability_1\n,a,nan\nnan,a,\ninf,a,inf\n0,a,-0.0\n1,a,nan\n,a,1\ninf,a,3e38\n", nil,
      .within(1))
    #expect(report.outputs[0].equal == 3)
    #expect(report.outputs[0].beyond == 3)
    #expect(report.outputs[0].firstBeyond?.row == 5)
    #expect(report.outputs[0].worstAbsolute?.error == .infinity)
    #expect(try !verify("x,note,expected_probability_1\n0,a,-0.0\n").holds)
    // The text of missing ones is the configuration's, where the column may lack it: this one may not.
    #expect(message("x,note,expected_echo\n1,,none\n").contains("row 1 (line 2), column \"note\": there is no value"))
  }

  @Test("a label that differs counts, unless the tolerance says that both are right")
  func labels() throws {
    let rows = "x,note,expected_label,expected_probability_0,expected_probability_1\n"
    let tie = rows + "0.5,a,1,0.5,0.5\n"
    #expect(try !verify(tie).holds)
    let near = try verify(tie, nil, .standard)
    #expect(near.holds)
    #expect(near.outputs[0].different == 1)
    #expect(near.outputs[0].undecided == 1)
    let wrong = try verify(rows + "0.25,a,1,0.75,0.25\n", nil, .standard)
    #expect(wrong.outputs[0].beyond == 1)
    #expect(wrong.failure?.contains("first row 1, label: 0 came, expected 1") == true)
    // Without all of the expected scores nobody can tell.
    #expect(try !verify("x,note,expected_label\n0.5,a,1\n", nil, .standard).holds)
    #expect(try verify("x,note,expected_label\n0.5,a,0.0\n").holds)
  }

  @Test("more rows than fit a tile are compared, and a text is its row's own")
  func many() throws {
    var rows = "x,note,expected_probability_1,expected_echo\n"
    for row in 0..<1_000 { rows += "\(Float(row) / 1024),note \(row),\(Float(row) / 1024),note \(row)\n" }
    let report = try verify(rows)
    #expect(report.holds)
    #expect(report.rows == 1_000)
    #expect(report.values == 2_000)
  }

  @Test("files that do not fit are refused with what is wrong, and where")
  func refusals() {
    let good = "x,note\n0.25,a\n0.5,b\n"
    #expect(message(good).contains("rows.csv: there is no column of expected answers, such as expected_label"))
    #expect(message(good, "label\n0\n").contains("scores.csv has 1 rows, and rows.csv has more"))
    #expect(message(good, "label\n0\n0\n0\n").contains("rows.csv has 2 rows, and scores.csv has more"))
    #expect(message(good, "label,chance\n0,0\n0,0\n").contains("scores.csv: column \"chance\" is none of the model's"))
    #expect(message(good, "label,output_label\n0,0\n0,0\n").contains("\"label\" and \"output_label\" are the same"))
    #expect(message(good, "label\nno\nno\n").contains("scores.csv: row 1 (line 2), column \"label\": \"no\" came"))
    #expect(message(good, "probability_0\nmuch\n0\n").contains("\"much\" came, expected a number"))
    #expect(message("x,note,y\n0.25,a,1\n", "label\n0\n").contains("column \"y\" is no feature"))
    #expect(message("x\n0.25\n", "label\n0\n").contains("absent: \"note\""))
    #expect(message("x,note\nmany,a\n", "label\n0\n").contains("column \"x\": \"many\" came, expected FP32"))
    #expect(message("x,note\n1,a,b\n", "label\n0\n").contains("3 fields came, expected 2"))
    #expect(message("x,note\n-1,a\n", "label\n0\n").contains("x is negative"))
    #expect(message("x,note\n", "label\n").contains("rows.csv has no rows"))
    #expect(message("", "label\n").contains("rows.csv: the input is empty"))
    #expect(message("{\"x\": 1}\n", "label\n0\n").contains("JSON lines came"))
    #expect(message("x,note,expected_y\n1,a,1\n").contains("column \"expected_y\" is none"))
    #expect(throws: Never.self) {
      let report = try verify("x,note,id\n0.25,a,7\n", "id,label\n7,0\n", .exact, ignoreExtra: true)
      #expect(report.holds)
    }
  }

  @Test("a tolerance is exact or a number from 0 to 1")
  func tolerance() {
    #expect(VerificationTolerance("exact") == .exact)
    #expect(VerificationTolerance("0") == .exact)
    #expect(VerificationTolerance("1e-6") == .standard)
    for text in ["", "1.5", "-1", "nan", "all"] { #expect(VerificationTolerance(text) == nil) }
    #expect(ModelConfiguration().tolerance(isTreesOnly: true) == .exact)
    #expect(ModelConfiguration().tolerance(isTreesOnly: false) == .standard)
    let written = try? ModelConfiguration.parse("verify: {tolerance: 1e-3}", file: "f").tolerance(isTreesOnly: true)
    #expect(written == .within(1e-3))
    #expect(throws: ConfigurationError.self) { try ModelConfiguration.parse("verify: {tolerance: 2}", file: "f") }
  }
}
