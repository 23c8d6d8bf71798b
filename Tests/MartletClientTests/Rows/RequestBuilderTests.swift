import MartletCore
import Testing

@testable import MartletClient

@Suite struct RequestBuilderTests {
  static let model: DescribeResponse = {
    var model = DescribeResponse()
    model.model = "m"
    model.version = "1"
    model.columns = [
      ColumnDescription(name: "age", type: .integer, missingAllowed: false),
      ColumnDescription(name: "income", type: .double, missingAllowed: true),
      ColumnDescription(name: "rate", type: .float, missingAllowed: false),
      ColumnDescription(name: "town", type: .text, missingAllowed: false),
      ColumnDescription(name: "own", type: .boolean, missingAllowed: false),
    ]
    return model
  }()

  /// Builds a request of all rows that fit, and the problems of the others.
  private func build(
    _ text: String, _ builder: RequestBuilder = RequestBuilder(model)
  ) throws -> (ScoreRequest, [RowProblem]) {
    var builder = builder
    var reader = try RowReader(ByteSource(Array(text.utf8)))
    var row = InputRow()
    var problems: [RowProblem] = []
    while try reader.next(&row) == .row {
      do throws(RowProblem) {
        try builder.append(row, columns: reader.columns)
      } catch {
        problems.append(error)
      }
    }
    return (builder.take(), problems)
  }

  @Test("a CSV's fields become values of the columns' types, in any order of the columns")
  func types() throws {
    let (request, problems) = try build(
      "town,own,age,rate,income\nBerlin,true,35,0.1,1e5\n\"Köln, Süd\",0,41.0,2,\n")
    #expect(problems == [])
    #expect(request.rows == 2)
    #expect(request.columns.map(\.name) == ["age", "income", "rate", "town", "own"])
    guard case .doubles(let incomes) = request.columns[1].values else {
      Issue.record("income is no double")
      return
    }
    #expect(incomes[0] == 1e5 && incomes[1].isNaN)
    #expect(request.columns[1].present == [true, false])
    #expect(request.columns[0].values == .integers([35, 41]))
    #expect(request.columns[2].values == .floats([0.1, 2]))
    #expect(request.columns[3].values == .texts(["Berlin", "Köln, Süd"]))
    #expect(request.columns[4].values == .booleans([true, false]))
  }

  @Test("a cell that does not fit is named with its row, column, what came and what was expected")
  func mismatches() throws {
    let (request, problems) = try build(
      "age,rate,town,own\n35,1,a,1\nold,1,a,1\n36,fast,a,1\n37,1,,1\n38,1,a,maybe\n39.5,1,a,1\n40,1,b,0\n")
    #expect(
      problems.map(\.description) == [
        "row 2 (line 3), column \"age\": \"old\" came, expected a whole number",
        "row 3 (line 4), column \"rate\": \"fast\" came, expected a number",
        "row 4 (line 5), column \"town\": there is no value, and the model needs one (text)",
        "row 5 (line 6), column \"own\": \"maybe\" came, expected true or false",
        "row 6 (line 7), column \"age\": \"39.5\" came, expected a whole number",
      ])
    // Nothing of a refused row is left in any column.
    #expect(request.rows == 2)
    #expect(
      request.columns.map(\.values) == [
        .integers([35, 40]), .floats([1, 1]), .texts(["a", "b"]), .booleans([true, false]),
      ])
    try request.validate()
  }

  @Test("JSON's own types are kept: text is no number and a number is no text")
  func json() throws {
    let (request, problems) = try build(
      """
      {"age": 35, "rate": 1, "town": "a", "own": true, "income": null}
      {"age": "35", "rate": 1, "town": "a", "own": true}
      {"age": 35, "rate": 1, "town": 5, "own": true}
      {"age": 35, "rate": 1, "town": "a", "own": 1}
      {"age": 35, "rate": 1, "town": "a"}
      {"age": 35, "rate": [1], "town": "a", "own": true}
      {"age": 35, "rate": 1, "town": "a", "own": true, "typo": 1}
      """)
    #expect(
      problems.map(\.description) == [
        "row 2 (line 2), column \"age\": the text \"35\" came, expected a whole number",
        "row 3 (line 3), column \"town\": the number 5 came, expected text",
        "row 4 (line 4), column \"own\": the number 1 came, expected true or false",
        "row 5 (line 5), column \"own\": it is absent, and the model needs one (boolean)",
        "row 6 (line 6), column \"rate\": the nested value [1] came, expected a number",
        "row 7 (line 7), column \"typo\": it is no feature of the model",
      ])
    #expect(request.rows == 1)
    #expect(request.columns.map(\.name) == ["age", "income", "rate", "town", "own"])
    #expect(request.columns[1].present == [false])
  }

  @Test("a text that means missing is the caller's choice")
  func missing() throws {
    let builder = RequestBuilder(Self.model, missing: ["NA", "-"])
    let (request, problems) = try build("age,income,rate,town,own\n1,NA,1,,1\n2,-,1,x,1\n3,,1,x,1\n", builder)
    #expect(problems.map(\.column) == ["income"])
    #expect(request.rows == 2)
    #expect(request.columns[1].present == [false, false])
    #expect(request.columns[3].values == .texts(["", "x"]))
  }

  @Test("a CSV's header is checked before its rows")
  func header() throws {
    func check(_ columns: [String], _ builder: RequestBuilder) -> String? {
      var builder = builder
      do throws(InputError) {
        try builder.check(columns: columns)
        return nil
      } catch {
        return error.description
      }
    }
    let all = ["age", "income", "rate", "town", "own"]
    #expect(check(all, RequestBuilder(Self.model)) == nil)
    #expect(check(["age", "rate", "town", "own"], RequestBuilder(Self.model)) == nil)
    #expect(
      check(["age", "town"], RequestBuilder(Self.model))
        == "the input lacks columns that model \"m\" needs: \"rate\", \"own\"")
    #expect(
      check(all + ["id", "x"], RequestBuilder(Self.model))
        == "column \"id\" is no feature of model \"m\", nor are 1 others")
    #expect(check(all + ["id"], RequestBuilder(Self.model, passedOver: ["id"])) == nil)
    #expect(check(all + ["id", "x"], RequestBuilder(Self.model, ignoreExtra: true)) == nil)
  }

  @Test("a row without any column of the model is refused, whatever rows are beside it")
  func nothing() throws {
    var model = Self.model
    model.columns = [ColumnDescription(name: "income", type: .double, missingAllowed: true)]
    let builder = RequestBuilder(model, ignoreExtra: true)
    let (request, problems) = try build("{\"x\":1}\n{\"income\":null}\n{\"income\":5}\n{}\n", builder)
    #expect(problems.map(\.row) == [1, 4])
    #expect(problems.first?.message == "it has no column of the model")
    #expect(request.columns.map(\.present) == [[false, true]])
    // A column that only other rows have is known from then on.
    let (alone, _) = try build("{\"income\":null}\n", builder)
    #expect(alone.columns.map(\.present) == [[false]])
  }

  @Test("a builder that was emptied builds the next request")
  func reuse() throws {
    var builder = RequestBuilder(Self.model)
    var reader = try RowReader(ByteSource(Array("age,rate,town,own\n1,1,a,1\n2,2,b,0\n".utf8)))
    var row = InputRow()
    var requests: [ScoreRequest] = []
    while try reader.next(&row) == .row {
      try builder.append(row, columns: reader.columns)
      requests.append(builder.take())
    }
    #expect(requests.map(\.rows) == [1, 1])
    #expect(requests.map { $0.columns[0].values } == [.integers([1]), .integers([2])])
    #expect(builder.rows == 0)
  }
}
