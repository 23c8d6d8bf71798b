import Foundation
import Logging
import MartletCore
import Synchronization
import Testing

@testable import MartletRepository

/// A repository in a temporary directory, filled with copies of the committed models.
private final class Bench {
  static let models = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "models")

  let directory: URL
  let repository: ModelRepository
  let published = Published()

  final class Published: Sendable { let catalogues = Mutex<[Catalogue]>([]) }

  init() throws {
    directory = FileManager.default.temporaryDirectory.appending(path: "martlet-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    repository = ModelRepository(
      options: .init(directory: directory.path(), modelFileBytes: 1 << 20),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let published = self.published
    repository.publish { catalogue, done in
      published.catalogues.withLock { $0.append(catalogue) }
      done()
    }
  }

  deinit { try? FileManager.default.removeItem(at: directory) }

  func put(_ name: String, _ version: Int, from model: String = "caravan-response") throws {
    let target = directory.appending(path: "\(name)/\(version)")
    try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
    let source = Self.models.appending(path: "\(model)/1/model.onnx")
    try FileManager.default.copyItem(at: source, to: target.appending(path: "model.onnx"))
  }

  func write(_ path: String, _ text: String) throws {
    let file = directory.appending(path: path)
    try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try Data(text.utf8).write(to: file)
  }

  func change(_ name: String, _ work: (String, @escaping @Sendable (Result<Void, Status>) -> Void) -> Void) -> Status? {
    let finished = DispatchSemaphore(value: 0)
    let outcome = Outcome()
    work(name) { result in
      outcome.result.withLock { $0 = result }
      finished.signal()
    }
    finished.wait()
    guard case .failure(let status) = outcome.result.withLock({ $0 }) else { return nil }
    return status
  }

  private final class Outcome: Sendable { let result = Mutex<Result<Void, Status>>(.success(())) }

  var states: [String] { repository.states.map { "\($0.name) \($0.version) \($0.state)" } }

  func find(_ name: String, _ version: String = "") throws(Status) -> Model {
    let catalogue = repository.catalogue
    let name = Array(name.utf8)
    let version = Array(version.utf8)
    let found = name.withUnsafeBytes { name in
      version.withUnsafeBytes { version in
        Result { () throws(Status) in try catalogue.find(name: name, version: version) }
      }
    }
    return catalogue.models[try found.get()]
  }
}

/// Takes catalogues and says that they serve only when it is told to.
private final class BusyReactors: Sendable {
  private let waiting = Mutex<[@Sendable () -> Void]>([])
  let arrived = DispatchSemaphore(value: 0)

  func take(_ done: @escaping @Sendable () -> Void) {
    waiting.withLock { $0.append(done) }
    arrived.signal()
  }

  func serve() {
    let taken = waiting.withLock { waiting in
      defer { waiting = [] }
      return waiting
    }
    for done in taken { done() }
  }
}

/// Status codes in the order of the answers; nil for a change that was made.
private final class Answers: Sendable {
  private let noted = Mutex<[StatusCode?]>([])

  var codes: [StatusCode?] { noted.withLock { $0 } }

  func add(_ result: Result<Void, Status>) {
    noted.withLock { codes in
      if case .failure(let status) = result { codes.append(status.code) } else { codes.append(nil) }
    }
  }
}

@Suite("Model repository")
struct ModelRepositoryTests {
  @Test("a directory of NAME/VERSION/model.onnx is all that is needed, and the highest version serves")
  func plain() throws {
    let bench = try Bench()
    try bench.put("a", 1)
    try bench.put("a", 10)
    try bench.put("a", 9)
    try bench.put("b", 3, from: "credit-risk")
    try bench.write("training/train.py", "not a model")
    try bench.write("README.md", "not a model either")
    try bench.write("a/notes/x", "nor this")
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a 1 READY", "a 9 READY", "a 10 READY", "b 3 READY"])
    #expect(try bench.find("a").version == 10)
    #expect(try bench.find("a", "9").version == 9)
    #expect(try bench.find("b").signature.inputs.count == 20)
    #expect(throws: Status.self) { try bench.find("a", "2") }
    #expect(throws: Status.self) { try bench.find("a", "09") }
    #expect(throws: Status.self) { try bench.find("training") }
  }

  @Test("a bad model is one clear reason, and the others serve")
  func bad() throws {
    let bench = try Bench()
    try bench.put("good", 1)
    try bench.write("garbage/1/model.onnx", "this is no model")
    try bench.write("empty/1/notes.txt", "")
    try bench.put("two", 1)
    try bench.write("two/1/model.txt", "x")
    try bench.put("configured", 1)
    try bench.write("configured/model.yaml", "owner: me\nownr: you\n")
    try bench.write("large/1/model.onnx", String(repeating: "x", count: (1 << 20) + 1))
    try bench.repository.reloadAndWait()
    #expect(
      bench.states == [
        "configured 1 UNAVAILABLE", "empty 1 UNAVAILABLE", "garbage 1 UNAVAILABLE", "good 1 READY",
        "large 1 UNAVAILABLE", "two 1 UNAVAILABLE",
      ])
    let reasons = Dictionary(uniqueKeysWithValues: bench.repository.states.map { ($0.name, $0.reason) })
    #expect(reasons["configured"]?.contains("ownr") == true)
    #expect(reasons["empty"]?.contains("model.*") == true)
    #expect(reasons["large"]?.contains("1048577") == true)
    #expect(reasons["two"]?.contains("model.txt") == true)
    #expect(reasons["garbage"]?.isEmpty == false)
    let status = #expect(throws: Status.self) { try bench.find("garbage") }
    #expect(status?.code == .unavailable)
  }

  @Test("a reload loads what is new or changed, keeps what is not, and drops what is gone")
  func reload() throws {
    let bench = try Bench()
    try bench.put("a", 1)
    try bench.put("b", 1)
    try bench.repository.reloadAndWait()
    let first = try bench.find("a")
    try bench.put("a", 2)
    try bench.write("a/3/model.onnx", "broken")
    try FileManager.default.removeItem(at: bench.directory.appending(path: "b"))
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a 1 READY", "a 2 READY", "a 3 UNAVAILABLE"])
    #expect(try bench.find("a").version == 2)
    #expect(try bench.find("a", "1") === first)
    #expect(throws: Status.self) { try bench.find("b") }
    // A file that is replaced by a bad one does not take the good one out.
    let second = try bench.find("a", "2")
    try bench.write("a/2/model.onnx", "broken as well")
    try bench.repository.reloadAndWait()
    #expect(try bench.find("a") === second)
    #expect(bench.repository.states.first { $0.version == "2" }?.reason.contains("on disk") == true)
  }

  @Test("a model that was unloaded stays out until it is loaded by name")
  func unload() throws {
    let bench = try Bench()
    try bench.put("a", 1)
    try bench.repository.reloadAndWait()
    #expect(bench.change("a", bench.repository.unload) == nil)
    #expect(bench.states == ["a  UNAVAILABLE"])
    #expect(throws: Status.self) { try bench.find("a") }
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a  UNAVAILABLE"])
    #expect(bench.change("a", bench.repository.load) == nil)
    #expect(bench.states == ["a 1 READY"])
    #expect(bench.change("nobody", bench.repository.load)?.code == .notFound)
    #expect(bench.change("nobody", bench.repository.unload)?.code == .notFound)
    #expect(bench.change("../a", bench.repository.load)?.code == .notFound)
    try bench.write("bad/1/model.onnx", "x")
    #expect(bench.change("bad", bench.repository.load)?.code == .invalidArgument)
  }

  @Test("loads and unloads are refused while as many as may wait are pending, and taken when they are done")
  func pendingChanges() throws {
    let bench = try Bench()
    try bench.write("a/1/model.onnx", "x")
    let repository = ModelRepository(
      options: .init(directory: bench.directory.path(), pendingChanges: 2),
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    try repository.reloadAndWait()
    // Reactors that are too busy to take the new catalogue.
    let hold = BusyReactors()
    repository.publish { _, done in hold.take(done) }
    let answers = Answers()
    for work in [repository.unload, repository.load, repository.load, repository.unload] {
      work("a") { result in answers.add(result) }
    }
    #expect(answers.codes == [.resourceExhausted, .resourceExhausted])
    for _ in 0..<2 { #expect(hold.arrived.wait(timeout: .now() + 10) == .success) }
    repository.unload("a") { result in answers.add(result) }
    #expect(answers.codes == [.resourceExhausted, .resourceExhausted, .resourceExhausted])
    hold.serve()
    // One unloaded, one failed to load what is no model.
    #expect(answers.codes.suffix(2) == [nil, .invalidArgument])
    #expect(bench.change("nobody", repository.unload)?.code == .notFound)
    repository.unload("a") { result in answers.add(result) }
    #expect(hold.arrived.wait(timeout: .now() + 10) == .success)
    hold.serve()
    #expect(answers.codes.last == .some(nil))
  }

  @Test("every change publishes a new catalogue, and the old one stays as it was")
  func published() throws {
    let bench = try Bench()
    try bench.put("a", 1)
    try bench.repository.reloadAndWait()
    let old = bench.repository.catalogue
    try bench.put("a", 2)
    try bench.repository.reloadAndWait()
    #expect(old.models.count == 1)
    #expect(bench.published.catalogues.withLock { $0.map(\.models.count) } == [1, 2])
  }

  @Test("a version that does not reproduce its golden rows is not served and says so, and the former one serves on")
  func golden() throws {
    let bench = try Bench()
    try bench.put("a", 1)
    try bench.put("a", 2)
    let golden = try String(contentsOf: Bench.models.appending(path: "caravan-response/1/golden.csv"), encoding: .utf8)
    try bench.write("a/1/golden.csv", golden)
    // Answers of XGBoost itself, which an ONNX file sums in another order: the owner allows for that.
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a 1 UNAVAILABLE", "a 2 READY"])
    #expect(bench.repository.states[0].reason.contains("(tolerance exact)"))
    try bench.write("a/model.yaml", "verify: {tolerance: 1e-6}\n")
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a 1 READY", "a 2 READY"])
    let second = try bench.find("a")

    var lines = golden.split(separator: "\n").map(String.init)
    let cells = lines[7].split(separator: ",", omittingEmptySubsequences: false)
    lines[7] = cells.dropLast().joined(separator: ",") + ",0.5"
    let wrong = lines.joined(separator: "\n") + "\n"
    // It served before its golden rows came, so it stays what serves, and says that they fail.
    try bench.write("a/2/golden.csv", wrong)
    let status = bench.change("a", bench.repository.load)
    #expect(status?.code == .invalidArgument)
    #expect(status?.message.contains("golden.csv is not reproduced: 1 of 150 values") == true)
    #expect(status?.message.contains("first row 7, probability_1") == true)
    #expect(try bench.find("a") === second)
    // A new version with such rows does not serve at all.
    try bench.put("a", 3)
    try bench.write("a/3/golden.csv", wrong)
    try bench.put("a", 4)
    try bench.write("a/4/golden.csv", "x,y\n1,2\n")
    try bench.repository.reloadAndWait()
    #expect(bench.states == ["a 1 READY", "a 2 READY", "a 3 UNAVAILABLE", "a 4 UNAVAILABLE"])
    #expect(try bench.find("a") === second)
    #expect(bench.repository.states[3].reason.contains("golden.csv: ") == true)
    // Corrected rows are noticed, though the model file is the same.
    try bench.write("a/3/golden.csv", golden)
    try bench.repository.reloadAndWait()
    #expect(try bench.find("a").version == 3)
  }

  @Test("a model is verified by its file, its version's directory or its own")
  func places() throws {
    let models = Bench.models.path(percentEncoded: false)
    for path in ["credit-risk", "credit-risk/", "credit-risk/1", "credit-risk/1/model.onnx", "caravan-response"] {
      let report = try ModelVerification(path: models + "/" + path).verify(rows: nil, expected: nil, tolerance: nil)
      #expect(report.holds)
      #expect(report.rows == 50)
      #expect(report.tolerance == .standard)
    }
    let exact = try ModelVerification(path: models + "/caravan-response").verify(
      rows: nil, expected: nil, tolerance: .exact)
    #expect(!exact.holds)
    for path in ["nothing", "training", "credit-risk/model.yaml"] {
      #expect(throws: InputError.self) { try ModelVerification(path: models + "/" + path) }
    }
    #expect(throws: InputError.self) { try ModelVerification(path: models + "/credit-risk", version: 2) }
  }

  @Test("a repository that cannot be read is an error")
  func unreadable() throws {
    let repository = ModelRepository(
      options: .init(directory: "/nonexistent/models"), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let status = #expect(throws: Status.self) { try repository.reloadAndWait() }
    #expect(status?.code == .failedPrecondition)
    #expect(status?.message.contains("/nonexistent/models") == true)
  }
}

@Suite("Names")
struct NameIndexTests {
  @Test("every name is found at its place, with a right, wrong or absurd guess", arguments: [0, 1, 5, 1_000])
  func names(_ count: Int) {
    let names = (0..<count).map { "feature \($0)" }
    let index = NameIndex(names)
    func find(_ name: String, _ guess: Int) -> Int? {
      Array(name.utf8).withUnsafeBytes { index.find($0, guess: guess) }
    }
    for (place, name) in names.enumerated() {
      for guess in [place, 0, 1_000_000] { #expect(find(name, guess) == place) }
    }
    #expect(find("feature", 0) == nil)
    #expect(find("", 0) == nil)
  }

  @Test("a digest is SHA-256")
  func digest() {
    let abc = Array("abc".utf8).withUnsafeBytes { Digest.sha256($0) }
    #expect(abc == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  }
}
