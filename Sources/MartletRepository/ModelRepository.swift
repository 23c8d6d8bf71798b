import Dispatch
import Glibc
import Logging
import MartletCore
import MartletEngine
import MartletFormats
import Synchronization

/// Loads what lies on disk and keeps the list of what serves. Any thread.
///
/// Loading happens on a thread of its own at nice 19, one model after the other, so that serving threads are not
/// hurt; at start, when nothing is served yet, at the usual priority. A version with a golden.csv serves only when it
/// reproduces it. What is loaded is published as a new `Catalogue`; a version whose files have not changed stays the
/// same object.
public final class ModelRepository: Sendable {
  public struct Options: Sendable {
    public var directory: String
    /// The longest model file, in bytes.
    public var modelFileBytes: Int
    /// Loads and unloads by name that may be under way or wait for one that is.
    public var pendingChanges: Int
    /// How tree ensembles are planned.
    public var planning: PlanningOptions

    public init(
      directory: String, modelFileBytes: Int = 1 << 30, pendingChanges: Int = 64,
      planning: PlanningOptions = PlanningOptions()
    ) {
      self.directory = directory
      self.modelFileBytes = modelFileBytes
      self.pendingChanges = pendingChanges
      self.planning = planning
    }
  }

  /// One version in the list of the repository.
  public struct State: Sendable, Equatable {
    public var name: String
    public var version: String
    /// READY or UNAVAILABLE.
    public var state: String
    /// Why it is not ready.
    public var reason: String
  }

  private struct Loaded {
    var model: Model
    var file: FileIdentity
    var configuration: FileIdentity?
    var golden: FileIdentity?
  }

  private struct Known {
    /// By version number.
    var loaded: [Int: Loaded] = [:]
    var failures: [Int: String] = [:]
    /// Taken out by a caller; stays so until it is loaded by name.
    var isUnloaded = false
    var isRequired = false
    var reason = ""
  }

  private struct Contents {
    var models: [String: Known] = [:]
    var catalogue = Catalogue([])
  }

  private final class Outcome: Sendable {
    let result = Mutex<Result<Void, Status>>(.success(()))
  }

  private let settings: Mutex<Options>
  private let logger: Logger
  private let contents = Mutex(Contents())
  private let thread = LoaderThread()
  /// Loads and unloads by name whose outcome does not serve yet.
  private let pendingChanges = Atomic<Int>(0)
  private let subscriber = Mutex<(@Sendable (Catalogue, @escaping @Sendable () -> Void) -> Void)?>(nil)

  public init(options: Options, logger: Logger) {
    settings = Mutex(options)
    self.logger = logger
  }

  /// Loads by other options from here on; what is loaded stays until the next reload.
  public func apply(_ options: Options) { settings.withLock { $0 = options } }

  private var options: Options { settings.withLock { $0 } }

  /// Who takes new catalogues to where they serve; it calls back when every reactor has the new one. Once, at start.
  public func publish(to subscriber: @escaping @Sendable (Catalogue, @escaping @Sendable () -> Void) -> Void) {
    self.subscriber.withLock { $0 = subscriber }
  }

  public var catalogue: Catalogue { contents.withLock { $0.catalogue } }

  /// Every version that the repository knows, sorted by name and version.
  public var states: [State] {
    contents.withLock { contents in
      contents.models.sorted { $0.key < $1.key }.flatMap { name, known -> [State] in
        let versions = Set(known.loaded.keys).union(known.failures.keys).sorted()
        if versions.isEmpty { return [State(name: name, version: "", state: "UNAVAILABLE", reason: known.reason)] }
        return versions.map { version in
          let failure = known.failures[version]
          let isLoaded = known.loaded[version] != nil
          let stale = failure.map { "the file on disk is not the one that serves: \($0)" }
          return State(
            name: name, version: String(version), state: isLoaded ? "READY" : "UNAVAILABLE",
            reason: isLoaded ? stale ?? "" : failure ?? known.reason)
        }
      }
    }
  }

  /// Reads the whole directory again: new versions are loaded, changed ones loaded anew, vanished ones dropped. What
  /// a caller unloaded stays out. `done` runs on the loader's thread when the new catalogue serves everywhere.
  public func reload(done: @escaping @Sendable (Result<Void, Status>) -> Void) { reload(isHasty: false, done) }

  private func reload(isHasty: Bool, _ done: @escaping @Sendable (Result<Void, Status>) -> Void) {
    thread.run {
      do throws(ModelDirectory.ModelDirectoryError) {
        let entries = try ModelDirectory.scan(self.options.directory)
        let names = Set(entries.map(\.name))
        var known = self.contents.withLock { $0.models }
        for name in known.keys where !names.contains(name) { known[name] = nil }
        for entry in entries {
          var model = known[entry.name] ?? Known()
          if !model.isUnloaded { self.load(entry, into: &model, isHasty: isHasty) }
          known[entry.name] = model
        }
        self.commit(known) { done(.success(())) }
      } catch {
        self.logger.error("the model repository cannot be read", metadata: ["reason": "\(error.message)"])
        done(.failure(Status(.failedPrecondition, error.message)))
      }
    }
  }

  /// The same, for a caller that has nothing else to do meanwhile: at start, or without a server. Beside busy processes
  /// nice 19 could take minutes.
  public func reloadAndWait() throws(Status) {
    let finished = DispatchSemaphore(value: 0)
    let outcome = Outcome()
    reload(isHasty: true) { result in
      outcome.result.withLock { $0 = result }
      finished.signal()
    }
    finished.wait()
    try outcome.result.withLock { $0 }.get()
  }

  /// Loads one model by name, or loads it anew. NOT_FOUND when the directory has none such, INVALID_ARGUMENT when no
  /// version of it can be loaded, RESOURCE_EXHAUSTED, at once and on the caller's thread, when too many changes are
  /// pending.
  public func load(_ name: String, done: @escaping @Sendable (Result<Void, Status>) -> Void) {
    change(done) { done in
      do throws(ModelDirectory.ModelDirectoryError) {
        guard let entry = try ModelDirectory.entry(name, in: self.options.directory) else {
          return done(.failure(Status(.notFound, "model_name: the repository has no model \"\(name.prefix(64))\"")))
        }
        var known = self.contents.withLock { $0.models }
        var model = known[name] ?? Known()
        model.isUnloaded = false
        self.load(entry, into: &model)
        known[name] = model
        let failure = entry.versions.first.flatMap { model.failures[$0.number] }
        self.commit(known) {
          if let failure {
            done(.failure(Status(.invalidArgument, "model \"\(name)\" was not loaded: \(failure)")))
          } else {
            done(.success(()))
          }
        }
      } catch {
        done(.failure(Status(.failedPrecondition, error.message)))
      }
    }
  }

  /// Takes one model out; calls that have been read are still answered. NOT_FOUND when it is not known,
  /// RESOURCE_EXHAUSTED as for `load`.
  public func unload(_ name: String, done: @escaping @Sendable (Result<Void, Status>) -> Void) {
    change(done) { done in
      var known = self.contents.withLock { $0.models }
      guard var model = known[name] else {
        return done(.failure(Status(.notFound, "model_name: the repository has no model \"\(name.prefix(64))\"")))
      }
      model.loaded = [:]
      model.failures = [:]
      model.isUnloaded = true
      model.reason = "unloaded by a caller"
      known[name] = model
      self.logger.notice("model unloaded", metadata: ["model": "\(name)"])
      self.commit(known) { done(.success(())) }
    }
  }

  /// Runs a change on the loader's thread, unless as many as may wait do so already: whoever asks may be gone long
  /// before it is done, so that nothing else bounds them.
  private func change(
    _ done: @escaping @Sendable (Result<Void, Status>) -> Void,
    _ work: @escaping @Sendable (@escaping @Sendable (Result<Void, Status>) -> Void) -> Void
  ) {
    let most = options.pendingChanges
    guard pendingChanges.add(1, ordering: .relaxed).newValue <= most else {
      pendingChanges.subtract(1, ordering: .relaxed)
      let message = "\(most) loads and unloads are pending, the limit; ask again when they are done"
      return done(.failure(Status(.resourceExhausted, message)))
    }
    thread.run {
      work { result in
        self.pendingChanges.subtract(1, ordering: .relaxed)
        done(result)
      }
    }
  }

  private func commit(_ models: [String: Known], _ done: @escaping @Sendable () -> Void) {
    let catalogue = Catalogue(
      models.map { name, known in
        let versions = known.loaded.values.map(\.model).sorted { $0.version > $1.version }
        let newestFailure = known.failures.max { $0.key < $1.key }
        return Catalogue.Entry(
          name: name, versions: versions,
          reason: newestFailure.map { "version \($0.key): \($0.value)" } ?? known.reason,
          isRequired: known.isRequired)
      })
    contents.withLock {
      $0.models = models
      $0.catalogue = catalogue
    }
    if let subscriber = subscriber.withLock({ $0 }) {
      subscriber(catalogue, done)
    } else {
      done()
    }
  }

  private func load(_ entry: ModelDirectory.Entry, into known: inout Known, isHasty: Bool = false) {
    known.failures = [:]
    known.reason = ""
    let present = Set(entry.versions.map(\.number))
    for version in known.loaded.keys where !present.contains(version) { known.loaded[version] = nil }
    let configurationFile = entry.configuration.flatMap { FileIdentity($0) }
    let configuration: ModelConfiguration
    do {
      configuration = try entry.configuration.map { try ModelConfiguration.load(path: $0) } ?? ModelConfiguration()
    } catch {
      for version in present { known.failures[version] = "\(error)" }
      logger.error("model configuration refused", metadata: ["model": "\(entry.name)", "reason": "\(error)"])
      return
    }
    known.isRequired = configuration.readiness.required
    for version in entry.versions {
      do {
        let path = try version.file.get()
        let file = FileIdentity(path)
        let golden = FileIdentity(ModelVerification.golden(beside: path))
        if let loaded = known.loaded[version.number], loaded.file == file,
          loaded.configuration == configurationFile, loaded.golden == golden
        {
          continue
        }
        let (model, verified) = try self.thread.politely(isHasty: isHasty) { [configuration] in
          try self.load(entry.name, version.number, path, configuration)
        }
        known.loaded[version.number] = Loaded(
          model: model, file: file!, configuration: configurationFile, golden: golden)
        logger.info(
          "model loaded",
          metadata: [
            "model": "\(entry.name)", "version": "\(version.number)", "format": "\(model.format)",
            "bytes": "\(model.fileBytes)", "digest": "\(model.digest.prefix(12))",
            "milliseconds": "\(Int(model.loadSeconds * 1000))",
            "golden": "\(verified.map { "\($0.rows) rows, tolerance \($0.tolerance)" } ?? "none")",
          ])
      } catch {
        let reason = (error as? ModelDirectory.ModelDirectoryError)?.message ?? "\(error)"
        known.failures[version.number] = reason
        logger.error(
          "model failed to load",
          metadata: ["model": "\(entry.name)", "version": "\(version.number)", "reason": "\(reason)"])
      }
    }
  }

  private func load(
    _ name: String, _ version: Int, _ path: String, _ configuration: ModelConfiguration
  ) throws -> (Model, VerificationReport?) {
    let began = MonotonicTime.now()
    let file = try FileBytes(path, limit: options.modelFileBytes)
    let bytes = UnsafeRawBufferPointer(file.bytes)
    let loaded = try ModelLoader.load(
      bytes: bytes, featureNames: configuration.featureNames, missingValue: configuration.missing.number,
      furtherOutputs: configuration.furtherOutputs, planning: options.planning)
    try configuration.check(against: loaded.plan.signature)
    let verified = try ModelVerification.golden(beside: path, loaded, configuration)
    if let failure = verified?.failure { throw InputError("golden.csv is not reproduced: \(failure)") }
    var clock = timespec()
    clock_gettime(CLOCK_REALTIME, &clock)
    let model = Model(
      name: name, version: version, plan: loaded.plan, configuration: configuration, format: loaded.format,
      digest: Digest.sha256(bytes), fileBytes: file.bytes.count,
      loadSeconds: Double(MonotonicTime.now().nanoseconds(since: began)) * 1e-9,
      loadedAt: Double(clock.tv_sec) + Double(clock.tv_nsec) * 1e-9)
    return (model, verified)
  }
}
