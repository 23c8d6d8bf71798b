import Foundation
import MartletCore
import MartletRepository
import Testing

private func refusal(_ text: String, for signature: ModelSignature? = nil) -> String {
  do throws(ConfigurationError) {
    let configuration = try ModelConfiguration.parse(text, file: "model.yaml")
    if let signature { try configuration.check(against: signature) }
    return "accepted"
  } catch {
    return "\(error)"
  }
}

private func classifier(_ classes: ClassLabels) -> ModelSignature {
  ModelSignature(
    inputs: [.init(name: "x", type: .float32, shape: [2])],
    outputs: [
      .init(name: "label", type: .int64, shape: [], role: .label, classes: classes),
      .init(name: "probabilities", type: .float32, shape: [2], role: .probability),
    ],
    columns: ["age", "amount"].enumerated().map {
      .init(name: $1, input: 0, offset: $0, type: .float32, missingAllowed: false)
    })
}

private let regressor = ModelSignature(
  inputs: [.init(name: "x", type: .float32, shape: [1])],
  outputs: [.init(name: "y", type: .float32, shape: [], role: .value)],
  columns: [.init(name: "f0", input: 0, offset: 0, type: .float32, missingAllowed: false)])

@Suite("Model configuration")
struct ModelConfigurationTests {
  @Test("every key is read into its value")
  func everyKey() throws {
    let configuration = try ModelConfiguration.parse(
      """
      owner: Credit team
      description: |
        Two
        lines.
      feature_names: [age, amount]
      positive_class: 1
      decision: {class: 1, threshold: 0.25}
      approval:
        by: A. Person
        date: 2028-02-29
        evidence: 1/metrics.json
      batching: {max_queue_delay: 1.5ms, preferred_rows: 64, max_rows: 1024}
      missing: {allowed: [age], text: unknown, number: -999}
      outputs: [margin]
      readiness: {required: true}
      """, file: "model.yaml")
    #expect(configuration.owner == "Credit team")
    #expect(configuration.description == "Two\nlines.\n")
    #expect(configuration.featureNames == ["age", "amount"])
    #expect(configuration.positiveClass == "1")
    #expect(configuration.decision == .init(class: "1", threshold: 0.25))
    #expect(configuration.approval?.by == "A. Person")
    #expect(configuration.approval?.date == "2028-02-29")
    #expect(configuration.approval?.evidence == "1/metrics.json")
    #expect(configuration.batching.maxQueueDelay == .microseconds(1500))
    #expect(configuration.batching.preferredRows == 64)
    #expect(configuration.batching.maxRows == 1024)
    #expect(configuration.missing.allows("age"))
    #expect(!configuration.missing.allows("amount"))
    #expect(configuration.missing.text == "unknown")
    #expect(configuration.missing.number == -999)
    #expect(configuration.furtherOutputs == ["margin"])
    #expect(configuration.readiness.required)
    try configuration.check(against: classifier(.integer([0, 1])))
  }

  @Test("an empty file and one with empty sections have the defaults")
  func empty() throws {
    #expect(try ModelConfiguration.parse("", file: "m") == ModelConfiguration())
    let sections = try ModelConfiguration.parse("batching:\nmissing: {}\n", file: "m")
    #expect(sections.batching == ModelConfiguration().batching)
    #expect(!sections.missing.allows("age"))
    #expect(try ModelConfiguration.parse("missing: {allowed: true}", file: "m").missing.allows("age"))
    #expect(try !ModelConfiguration.parse("missing: {allowed: false}", file: "m").missing.allows("age"))
  }

  @Test("unknown keys are refused with their line, at every depth")
  func unknownKeys() {
    #expect(refusal("owner: a\nownr: b") == "model.yaml:2: ownr: unknown key; did you mean owner?")
    #expect(
      refusal("batching:\n  max_row: 1")
        == "model.yaml:2: batching.max_row: unknown key; did you mean batching.max_rows?")
    #expect(
      refusal("readiness:\n  colour: red")
        == "model.yaml:2: readiness.colour: unknown key; known keys are readiness.required")
    #expect(refusal("owner: a\nowner: b").contains("given twice: \"owner\""))
  }

  @Test(
    "bad values are refused with line, key, what came and what was expected",
    arguments: [
      ("owner:", "model.yaml:1: owner: got nothing, expected a text of 1 to 4096 bytes"),
      ("owner: [a]", "model.yaml:1: owner: got a list, expected a text of 1 to 4096 bytes"),
      ("feature_names: age", "model.yaml:1: feature_names: got a single value, expected a list of 1 to 65536 texts"),
      ("feature_names: []", "model.yaml:1: feature_names: got a list of 0, expected a list of 1 to 65536 texts"),
      ("feature_names:\n- a\n- b\n- a", "model.yaml:4: feature_names: \"a\" is given twice"),
      ("feature_names:\n- a\n- [b]", "model.yaml:3: feature_names: got a list in the list, expected a text"),
      ("feature_names:\n- a\n- ''", "model.yaml:3: feature_names: got \"\", expected texts of 1 to 256 bytes"),
      (
        "decision: {class: a, threshold: 1.5}",
        "model.yaml:1: decision.threshold: got \"1.5\", expected a number from 0.0 to 1.0"
      ),
      (
        "decision: {class: a, threshold: nan}",
        "model.yaml:1: decision.threshold: got \"nan\", expected a number from 0.0 to 1.0"
      ),
      ("decision: {class: a}", "model.yaml:1: decision: threshold is missing"),
      ("owner: a\ndecision:\n  threshold: 0.1", "model.yaml:3: decision: class is missing"),
      ("decision: 0.5", "model.yaml:1: decision: got a single value, expected a map of keys"),
      (
        "approval: {by: a, date: 2027-02-29}",
        "model.yaml:1: approval.date: got \"2027-02-29\", expected a date as YYYY-MM-DD"
      ),
      (
        "approval: {by: a, date: 24.11.2026}",
        "model.yaml:1: approval.date: got \"24.11.2026\", expected a date as YYYY-MM-DD"
      ),
      ("approval: {by: a}", "model.yaml:1: approval: date is missing"),
      (
        "batching: {max_queue_delay: 5}",
        "model.yaml:1: batching.max_queue_delay: got \"5\", expected a duration such as 200us or 5ms, from 0s to 10s"
      ),
      (
        "batching: {max_rows: 0}",
        "model.yaml:1: batching.max_rows: got \"0\", expected a whole number from 1 to 1048576"
      ),
      (
        "batching:\n  preferred_rows: 9\n  max_rows: 8",
        "model.yaml:2: batching.preferred_rows: got 9, expected at most batching.max_rows, which is 8"
      ),
      (
        "missing: {allowed: maybe}",
        "model.yaml:1: missing.allowed: got \"maybe\", expected true, false, or a list of 1 to 65536 texts"
      ),
      (
        "missing: {allowed: {a: b}}",
        "model.yaml:1: missing.allowed: got a map of keys, expected true, false, or a list of 1 to 65536 texts"
      ),
      ("readiness: {required: yes}", "model.yaml:1: readiness.required: got \"yes\", expected true or false"),
      ("- a", "model.yaml:1: got a list, expected a map of keys"),
    ])
  func badValues(text: String, message: String) {
    #expect(refusal(text) == message)
  }

  @Test("classes, columns and names that the model does not have are refused with their line")
  func againstTheModel() {
    let texts = classifier(.text(["bad", "good"]))
    #expect(refusal("decision: {class: bad, threshold: 0.5}\npositive_class: good", for: texts) == "accepted")
    #expect(
      refusal("owner: a\ndecision: {class: ugly, threshold: 0.5}", for: texts)
        == "model.yaml:2: decision.class: got \"ugly\", the model's classes are bad, good")
    #expect(
      refusal("positive_class: 2", for: classifier(.integer([0, 1])))
        == "model.yaml:1: positive_class: got \"2\", the model's classes are 0, 1")
    #expect(
      refusal("decision: {class: 1, threshold: 0.5}", for: regressor)
        == "model.yaml:1: decision: the model gives no probabilities")
    #expect(
      refusal("positive_class: 1", for: regressor)
        == "model.yaml:1: positive_class: got \"1\", but the model names no classes")
    #expect(
      refusal("feature_names: [a]", for: texts)
        == "model.yaml:1: feature_names: got 1 names, the model has 2 columns")
    #expect(
      refusal("missing: {allowed: [age, height]}", for: texts)
        == "model.yaml:1: missing.allowed: the model has no column \"height\"")
  }

  @Test("the configurations of the committed models are accepted")
  func committedModels() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    for name in ["credit-risk", "caravan-response"] {
      let configuration = try ModelConfiguration.load(
        path: root.appendingPathComponent("models/\(name)/model.yaml").path)
      #expect(configuration.owner != nil)
      #expect(configuration.decision != nil)
      #expect(configuration.approval != nil)
    }
  }
}
