import MartletClient
import MartletCore

/// A model's description as text.
enum DescriptionText {
  static let columnNames = ["column", "type", "missing", "categories"]
  static let outputNames = ["output", "type", "width", "role", "classes"]

  static func summary(_ description: DescribeResponse) -> String {
    let digest = description.digest
    let fields = [
      ("model", description.model),
      ("version", description.version + " (loaded: \(description.versions.joined(separator: ", ")))"),
      ("format", description.format),
      ("digest", digest),
      ("owner", description.owner),
      ("description", description.description),
    ]
    return fields.filter { !$0.1.isEmpty }.map { name, value in
      name + String(repeating: " ", count: 13 - name.count) + value + "\n"
    }.joined()
  }

  static func columns(_ description: DescribeResponse, short: Bool) -> [[OutputCell]] {
    description.columns.map { column in
      [
        .text(column.name), .text(column.type.name), .text(column.missingAllowed ? "allowed" : "no"),
        labels(column.categories, short: short),
      ]
    }
  }

  static func outputs(_ description: DescribeResponse) -> [[OutputCell]] {
    description.outputs.map { output in
      [
        .text(output.name), .text(output.type.name), .integer(Int64(output.width)), .text(output.role),
        labels(output.classes, short: true),
      ]
    }
  }

  static func json(_ description: DescribeResponse) -> String {
    let columns = description.columns.map { column in
      var members = [
        ("name", JSONText.string(column.name)), ("type", JSONText.string(column.type.name)),
        ("missing_allowed", column.missingAllowed ? "true" : "false"),
      ]
      if let categories = column.categories { members.append(("categories", json(categories))) }
      return JSONText.object(members)
    }
    let outputs = description.outputs.map { output in
      var members = [
        ("name", JSONText.string(output.name)), ("type", JSONText.string(output.type.name)),
        ("width", String(output.width)), ("role", JSONText.string(output.role)),
      ]
      if let classes = output.classes { members.append(("classes", json(classes))) }
      return JSONText.object(members)
    }
    return JSONText.object([
      ("model", JSONText.string(description.model)), ("version", JSONText.string(description.version)),
      ("versions", JSONText.array(description.versions.map(JSONText.string))),
      ("format", JSONText.string(description.format)), ("digest", JSONText.string(description.digest)),
      ("owner", JSONText.string(description.owner)), ("description", JSONText.string(description.description)),
      ("columns", JSONText.array(columns)), ("outputs", JSONText.array(outputs)),
    ])
  }

  private static func json(_ labels: ClassLabels) -> String {
    switch labels {
    case .text(let labels): JSONText.array(labels.map(JSONText.string))
    case .integer(let labels): JSONText.array(labels.map(String.init))
    }
  }

  /// Labels in one cell; when short, as many as fit, and how many there are.
  private static func labels(_ labels: ClassLabels?, short: Bool) -> OutputCell {
    guard let labels else { return .missing }
    let texts = (0..<labels.count).map(labels.text)
    let all = texts.joined(separator: " | ")
    guard short, all.count > 60 else { return .text(all) }
    return .text(String(all.prefix(50)) + "… (\(texts.count))")
  }
}
