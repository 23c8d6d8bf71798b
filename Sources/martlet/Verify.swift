import ArgumentParser
import MartletCore
import MartletServer

/// `martlet verify`: does a model answer as its training library did?
struct Verify: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Compare a model's answers with expected ones.",
    discussion: """
      MODEL is a model file, a version's directory or a model's directory, whose highest version is taken. Rows and \
      expected answers are CSV files; without --expected, the columns expected_… of the rows are compared, and without \
      --rows the golden.csv beside the model. Answers are called as martlet score calls them: label, \
      probability_CLASS, value, or by the output's name.

      The tolerance is verify.tolerance of model.yaml: exact, or a number t for |a - b| <= t * max(1, |b|). Without \
      it, models that are trees alone are exact, and others have 1e-6.

      Examples:
        martlet verify models/credit-risk
        martlet verify models/credit-risk/1 --rows rows.csv --expected scores.csv
        martlet verify model.onnx --rows rows.csv --expected scores.csv --tolerance exact --format json

      \(ExitStatus.table)
      """)

  @Argument(help: "A model file, or a directory of one.", completion: .file())
  var model: String

  @Option(
    help: ArgumentHelp("Rows to score; without it the golden.csv beside the model.", valueName: "file"),
    completion: .file(extensions: ["csv"]))
  var rows: String?

  @Option(
    help: ArgumentHelp("What they should be answered; without it the rows' columns expected_….", valueName: "file"),
    completion: .file(extensions: ["csv"]))
  var expected: String?

  @Option(help: ArgumentHelp("exact, or a number; without it the model's.", valueName: "tolerance"))
  var tolerance: String?

  @Option(help: ArgumentHelp("The model's version; without it the highest.", valueName: "number"))
  var version: Int?

  @Flag(help: "Pass over columns that are neither features nor outputs.")
  var ignoreExtra = false

  @Option(help: "How the comparison is written: table, json or csv.")
  var format = OutputFormat.table

  func validate() throws {
    guard expected == nil || rows != nil else { throw ValidationError("--expected goes with --rows.") }
    if let tolerance, VerificationTolerance(tolerance) == nil {
      throw ValidationError("--tolerance is \(tolerance), expected exact or a number from 0 to 1.")
    }
  }

  func run() throws {
    let verifier = try ModelVerifier(path: model, version: version)
    let report = try verifier.verify(
      rows: rows, expected: expected, tolerance: tolerance.flatMap(VerificationTolerance.init),
      ignoreExtra: ignoreExtra)
    var output = OutputFile()
    switch format {
    case .json: try output.write(VerificationText.json(report, model: verifier.path) + "\n")
    case .csv: try format.write(VerificationText.columns, VerificationText.rows(report, short: false), &output)
    case .table:
      try output.write("\(verifier.path): \(report.rows) rows, tolerance \(report.tolerance)\n\n")
      try format.write(VerificationText.columns, VerificationText.rows(report, short: true), &output)
    }
    try output.flush()
    guard let failure = report.failure else { return }
    throw Failure(
      .negative, failure, hint: "verify.tolerance in model.yaml, or --tolerance, says how much a value may differ")
  }
}
