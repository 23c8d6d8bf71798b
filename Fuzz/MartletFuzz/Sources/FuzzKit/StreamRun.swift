import Glibc
import MartletCore
import MartletRepository
import MartletServices

/// Feeds streams to the services without a socket, and judges: rates, answers, memory, time.
package struct StreamRun {
  private static let block = 1000
  private static let pastHeaderPercent = 90.0
  private static let reachedPercent = 50.0
  private static let growthBytes = 4 << 20

  private let streams: Int
  private let seed: UInt64
  private let directory: String

  /// - Parameters:
  ///   - streams: how many connections.
  ///   - models: a directory of models that are called beside those made here.
  package init(streams: Int, seed: UInt64, models: String) {
    self.streams = streams
    self.seed = seed
    directory = models
  }

  /// Whether everything held.
  package func run() throws(Status) -> Bool {
    let real = try FuzzModels.real(in: directory)
    let targets = real.map { ValidCalls.Target(name: $0.name, signature: $0.versions[0].signature) }
    let own = [FuzzModels.mixed, FuzzModels.echo, FuzzModels.numbers]
    let calls = ValidCalls(
      targets: own.map { ValidCalls.Target(name: $0.name, signature: $0.signature) } + targets)
    let catalogues = [false, true].map { FuzzModels.catalogue(withOlder: $0, real: real) }
    let scratch = try ScratchRepository()
    defer { scratch.remove() }
    let repository = ModelRepository(options: .init(directory: scratch.path), logger: FuzzModels.quiet)
    try repository.reloadAndWait()

    let host = ServiceHost(repository: repository)
    host.serve(catalogues[0])
    var known = KnownCalls(own: true, real: targets)
    var maker = StreamMaker(calls: calls, seed: seed)
    let watchdog = Watchdog()
    watchdog.start()

    print("models: \(calls.targets.map(\.name).joined(separator: ", ")); seed \(seed)")
    let began = MonotonicTime.now()
    var pastHeader = 0
    var reached = 0
    var bytes = 0
    var goodCalls = 0
    var memoryAfterWarmUp = 0
    var failures: [String] = []
    let warmUp = max(streams / 10, 1)

    for number in 0..<streams {
      if number % Self.block == 0 {
        host.serve(catalogues[number / Self.block % 2])
        if let wrong = Self.good(host, &known) {
          failures.append("before stream \(number): \(wrong)")
          break
        }
        goodCalls += known.count
      }
      let (stream, cuts) = maker.next()
      let vanishes = maker.vanishes()
      watchdog.enter(number)
      let outcome = host.connection(stream, cuts: cuts, vanishes: vanishes) { maker.roundEnds() }
      watchdog.leave()
      bytes += stream.count
      if outcome.isPastHeader { pastHeader += 1 }
      if outcome.reachedService { reached += 1 }
      if number + 1 == warmUp { memoryAfterWarmUp = ResidentMemory.bytes() }
    }
    if let wrong = Self.good(host, &known) { failures.append("at the end: \(wrong)") }
    goodCalls += known.count
    let memory = ResidentMemory.bytes()
    let seconds = Double(MonotonicTime.now().nanoseconds(since: began)) * 1e-9

    print("streams            \(streams), \(bytes >> 10) KiB, \(text(seconds, 1)) s")
    let slowest = watchdog.slowestOne
    print("slowest stream     number \(slowest.stream), \(text(slowest.milliseconds, 1)) ms")
    for (name, number, wanted) in [
      ("past the header", pastHeader, Self.pastHeaderPercent), ("reached a service", reached, Self.reachedPercent),
    ] {
      let percent = 100 * Double(number) / Double(streams)
      print("\(name.padded(19))\(text(percent, 1))% (at least \(text(wanted, 0))%)")
      if percent < wanted { failures.append("\(name): \(text(percent, 1))%") }
    }
    print("good calls         \(goodCalls), each with its known answer")
    let growth = memory - memoryAfterWarmUp
    print(
      "resident memory    \(memoryAfterWarmUp >> 10) KiB after \(warmUp) streams, \(memory >> 10) KiB at the end "
        + "(\(growth >> 10) KiB; at most \(Self.growthBytes >> 10))")
    if growth > Self.growthBytes { failures.append("memory grew by \(growth >> 10) KiB") }
    for (outcome, number) in host.counts.sorted(by: { $0.value > $1.value }) {
      print("  \(outcome.padded(28))\(number)")
    }
    failures += host.faults
    for failure in failures { print("FAILED: \(failure)") }
    return failures.isEmpty
  }

  /// What is wrong with the answers to good calls; nil when nothing is.
  private static func good(_ host: ServiceHost, _ known: inout KnownCalls) -> String? {
    host.keepsAnswers = true
    defer { host.keepsAnswers = false }
    let stream = known.stream
    _ = host.connection(stream, cuts: [stream.count], vanishes: false) { true }
    return known.judge(host.answers)
  }

}

/// A repository on disk whose models cannot be loaded, for the calls that load and unload.
struct ScratchRepository {
  let path: String

  init() throws(Status) {
    var template = Array("/tmp/martlet-fuzz-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw Status(.failedPrecondition, "no directory for models can be made in /tmp")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    for folder in ["damaged", "damaged/1", "empty"] { mkdir(path + "/" + folder, 0o700) }
    if let file = fopen(path + "/damaged/1/model.onnx", "w") {
      fputs("this is no model", file)
      fclose(file)
    }
  }

  func remove() {
    unlink(path + "/damaged/1/model.onnx")
    for folder in ["/damaged/1", "/damaged", "/empty", ""] { rmdir(path + folder) }
  }
}

/// A number with one digit behind the point, or none.
func text(_ value: Double, _ digits: Int) -> String {
  digits == 0 ? String(Int(value.rounded())) : String((value * 10).rounded() / 10)
}

extension String {
  func padded(_ width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
