import MartletClient
import Testing

@testable import MartletLoad

@Suite struct RowGeneratorTests {
  private let description: DescribeResponse = {
    var description = DescribeResponse()
    description.model = "m"
    description.version = "3"
    description.columns = [
      ColumnDescription(name: "job", type: .text, missingAllowed: false, categories: .text(["a", "b"])),
      ColumnDescription(name: "free", type: .text, missingAllowed: false),
      ColumnDescription(name: "code", type: .integer, missingAllowed: false, categories: .integer([7, 9])),
      ColumnDescription(name: "grade", type: .float, missingAllowed: false, categories: .integer([1, 2])),
      ColumnDescription(name: "age", type: .integer, missingAllowed: true),
      ColumnDescription(name: "x", type: .double, missingAllowed: false),
      ColumnDescription(name: "y", type: .float, missingAllowed: true),
      ColumnDescription(name: "flag", type: .boolean, missingAllowed: false),
    ]
    return description
  }()

  @Test("rows have the model's columns, types and categories")
  func shape() throws {
    var generator = RowGenerator(description, seed: 1)
    let request = generator.request(rows: 2_000)
    try request.validate()
    #expect(request.model == "m")
    #expect(request.version == "3")
    #expect(request.columns.map(\.name) == description.columns.map(\.name))
    guard case .texts(let jobs) = request.columns[0].values, case .integers(let codes) = request.columns[2].values,
      case .floats(let grades) = request.columns[3].values, case .doubles(let xs) = request.columns[5].values,
      case .booleans(let flags) = request.columns[7].values
    else {
      Issue.record("a column has another type than the model's")
      return
    }
    #expect(Set(jobs) == ["a", "b"])
    #expect(Set(codes) == [7, 9])
    #expect(Set(grades) == [1, 2])
    #expect(Set(flags) == [true, false])
    let mean = xs.reduce(0, +) / 2_000
    let spread = xs.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 2_000
    #expect(abs(mean) < 0.1)
    #expect(abs(spread - 1) < 0.15)
  }

  @Test("values are missing only where the model allows it, one in twenty")
  func missing() {
    var generator = RowGenerator(description, seed: 1)
    let request = generator.request(rows: 4_000)
    for (column, described) in zip(request.columns, description.columns) {
      guard described.missingAllowed else {
        #expect(column.present == nil)
        continue
      }
      let absent = column.present?.count { !$0 } ?? 0
      #expect((120...280).contains(absent), "\(column.name)")
    }
    // A mask that says nothing is left out.
    var single = RowGenerator(description, seed: 1)
    #expect(single.request(rows: 1).columns[6].present != [true])
  }

  @Test("a seed decides the rows, and successive requests differ")
  func seeds() {
    var first = RowGenerator(description, seed: 5)
    var second = RowGenerator(description, seed: 5)
    var third = RowGenerator(description, seed: 6)
    let request = first.request(rows: 3)
    #expect(request == second.request(rows: 3))
    #expect(request != third.request(rows: 3))
    #expect(request != first.request(rows: 3))
  }
}
