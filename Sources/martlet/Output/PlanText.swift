import MartletCore

/// How a model is scored on this machine, as text.
enum PlanText {
  static let columns = [
    "ensemble", "trees", "nodes", "batch", "kind", "bytes", "microseconds", "nanoseconds_per_row",
  ]

  static func summary(_ plan: any ScoringPlan, path: String, format: String) -> String {
    var lines = [("model", path), ("format", format), ("plan", plan.summary)]
    lines.append(("cost", plan.costCurve.map(cost) ?? "not measured"))
    for ensemble in plan.ensembles {
      var text =
        "\(ensemble.trees) trees, \(ensemble.nodes) nodes, \(ensemble.targets) "
        + "\(ensemble.targets == 1 ? "target" : "targets"), \(ensemble.precision), \(ensemble.bytes) bytes, "
        + (ensemble.cost.map(cost) ?? "not measured")
      if let forced = ensemble.forced {
        text +=
          ensemble.misfits.contains(forced) ? "; \(forced) was asked for and does not fit" : "; \(forced) was asked for"
      } else if !ensemble.misfits.isEmpty {
        text += "; not for \(ensemble.misfits.joined(separator: ", "))"
      }
      lines.append((ensemble.label, text))
    }
    let width = max(13, lines.map(\.0.count).max()! + 2)
    return lines.map { $0 + String(repeating: " ", count: width - $0.count) + $1 + "\n" }.joined()
  }

  private static func cost(_ cost: ScoringCost) -> String {
    "\(Int(cost.fixed.rounded())) ns a batch and \(Int(cost.perRow.rounded())) ns a row"
  }

  /// The kind of each batch size, one a row.
  static func rows(_ plan: any ScoringPlan) -> [[OutputCell]] {
    plan.ensembles.flatMap { ensemble in
      ensemble.batches.map { batch in
        let bytes = ensemble.kinds.first { $0.name == batch.kind }?.bytes ?? 0
        return [
          .text(ensemble.label), .integer(Int64(ensemble.trees)), .integer(Int64(ensemble.nodes)),
          .integer(Int64(batch.rows)), .text(batch.kind), .integer(Int64(bytes)),
          rounded(batch.nanoseconds.map { $0 / 1000 }), rounded(batch.nanoseconds.map { $0 / Double(batch.rows) }),
        ]
      }
    }
  }

  private static func rounded(_ value: Double?) -> OutputCell {
    value.map { .double(($0 * 100).rounded() / 100) } ?? .missing
  }

  static func json(_ plan: any ScoringPlan, path: String, format: String) -> String {
    let ensembles = plan.ensembles.map { ensemble in
      JSONText.object([
        ("ensemble", JSONText.string(ensemble.label)), ("precision", JSONText.string("\(ensemble.precision)")),
        ("trees", String(ensemble.trees)), ("nodes", String(ensemble.nodes)), ("targets", String(ensemble.targets)),
        ("bytes", String(ensemble.bytes)), ("forced", ensemble.forced.map(JSONText.string) ?? "null"),
        ("misfits", JSONText.array(ensemble.misfits.map(JSONText.string))), ("cost", json(ensemble.cost)),
        ("batches", JSONText.array(ensemble.batches.map(json))),
        ("kinds", JSONText.array(ensemble.kinds.map(json))),
      ])
    }
    return JSONText.object([
      ("model", JSONText.string(path)), ("format", JSONText.string(format)),
      ("plan", JSONText.string(plan.summary)), ("cost", json(plan.costCurve)),
      ("ensembles", JSONText.array(ensembles)),
    ])
  }

  private static func json(_ cost: ScoringCost?) -> String {
    guard let cost else { return "null" }
    return JSONText.object([
      ("nanoseconds", OutputCell.double(cost.fixed).json), ("nanoseconds_per_row", OutputCell.double(cost.perRow).json),
    ])
  }

  private static func json(_ batch: EnsembleReport.Batch) -> String {
    JSONText.object([
      ("rows", String(batch.rows)), ("kind", JSONText.string(batch.kind)),
      ("nanoseconds", batch.nanoseconds.map { OutputCell.double($0).json } ?? "null"),
    ])
  }

  private static func json(_ kind: EnsembleReport.Kind) -> String {
    JSONText.object([
      ("kind", JSONText.string(kind.name)), ("bytes", String(kind.bytes)), ("kept", kind.isKept ? "true" : "false"),
      ("nanoseconds", JSONText.array(kind.nanoseconds.map { $0.map { OutputCell.double($0).json } ?? "null" })),
    ])
  }
}
