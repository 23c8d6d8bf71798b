import Glibc
import MartletCore
import MartletFormats

/// A model that lies somewhere on disk, compared with answers that it should give.
///
/// ```swift
/// let model = try ModelVerification(path: "models/credit-risk/1")
/// let report = try model.verify(rows: nil, expected: nil, tolerance: nil)   // its golden.csv
/// ```
public struct ModelVerification {
  /// The model file.
  public let path: String
  public let format: String
  /// What comes of model.yaml and of the model itself, unless a call says otherwise.
  public let tolerance: VerificationTolerance
  /// How it is scored.
  public let plan: any ScoringPlan
  private let configuration: ModelConfiguration

  /// The longest golden.csv, in bytes.
  static let goldenBytes = 64 << 20

  /// Loads a model file, or the one of a version's directory, or of the highest version in a model's directory; with
  /// the model.yaml that belongs to it.
  ///
  /// Errors: nothing there, or a model or model.yaml that cannot be used.
  public init(path: String, version: Int? = nil) throws(InputError) {
    let place = try Self.locate(path, version)
    self.path = place.file
    do {
      configuration = try place.configuration.map { try ModelConfiguration.load(path: $0) } ?? ModelConfiguration()
      let bytes = try FileBytes(place.file, limit: 1 << 30)
      let loaded = try ModelLoader.load(
        bytes: UnsafeRawBufferPointer(bytes.bytes), featureNames: configuration.featureNames,
        missingValue: configuration.missing.number, furtherOutputs: configuration.furtherOutputs)
      try configuration.check(against: loaded.plan.signature)
      plan = loaded.plan
      format = loaded.format
      tolerance = configuration.tolerance(isTreesOnly: loaded.isTreesOnly)
    } catch {
      let message = (error as? ModelDirectory.ModelDirectoryError)?.message ?? "\(error)"
      throw InputError(message.hasPrefix("/") || message.hasPrefix(place.file) ? message : "\(place.file): \(message)")
    }
  }

  /// Compares.
  ///
  /// - Parameters:
  ///   - rows: a CSV file; nil: the golden.csv beside the model file.
  ///   - expected: a CSV file of as many rows; nil: the columns `expected_…` of the rows.
  ///   - tolerance: nil: the model's.
  ///   - ignoreExtra: whether columns that are neither features nor outputs are passed over.
  /// Errors: what is wrong with the files, with row and column.
  public func verify(
    rows: String?, expected: String?, tolerance: VerificationTolerance?, ignoreExtra: Bool = false
  ) throws(InputError) -> VerificationReport {
    let rows = rows ?? Self.golden(beside: path)
    let rowsFile = try OpenFile(rows)
    let expectedFile = try expected.map { (path) throws(InputError) in try OpenFile(path) }
    let verifier = ScoreVerifier(
      plan: plan, configuration: configuration, tolerance: tolerance ?? self.tolerance, ignoreExtra: ignoreExtra)
    return try verifier.verify(
      .init(bytes: ByteSource(descriptor: rowsFile.descriptor), name: rows, format: .csv),
      expected: expectedFile.map {
        .init(bytes: ByteSource(descriptor: $0.descriptor), name: expected ?? "", format: .csv)
      })
  }

  /// The golden rows beside a model file.
  static func golden(beside file: String) -> String { directory(of: file) + "/golden.csv" }

  /// What golden rows came to; nil when there are none. Errors: a file that cannot be used.
  static func golden(
    beside file: String, _ loaded: LoadedModel, _ configuration: ModelConfiguration
  ) throws -> VerificationReport? {
    let path = golden(beside: file)
    guard access(path, F_OK) == 0 else { return nil }
    let bytes = try FileBytes(path, limit: goldenBytes, limitName: "golden rows may have")
    let verifier = ScoreVerifier(
      plan: loaded.plan, configuration: configuration,
      tolerance: configuration.tolerance(isTreesOnly: loaded.isTreesOnly))
    return try verifier.verify(.init(bytes: ByteSource(Array(bytes.bytes)), name: "golden.csv", format: .csv))
  }

  /// A descriptor that is closed with its owner.
  private final class OpenFile {
    let descriptor: Int32

    init(_ path: String) throws(InputError) {
      descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { throw InputError("\(path) cannot be read: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }
  }

  // MARK: Where the files are

  private static func directory(of path: String) -> String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func locate(
    _ path: String, _ version: Int?
  ) throws(InputError) -> (file: String, configuration: String?) {
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw InputError("\(path) cannot be read: \(String(cString: strerror(errno)))")
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      let own = directory(of: path)
      // NAME/model.yaml is beside the version's directory; a file that lies alone has it in its own.
      return (path, [own + "/../model.yaml", own + "/model.yaml"].first { access($0, F_OK) == 0 })
    }
    do throws(ModelDirectory.ModelDirectoryError) {
      if let entry = try ModelDirectory.entry(at: path) {
        guard let found = entry.versions.first(where: { version == nil || $0.number == version }) else {
          let numbers = entry.versions.map { String($0.number) }.joined(separator: ", ")
          throw ModelDirectory.ModelDirectoryError(message: "there is no version \(version ?? 0), only \(numbers)")
        }
        return (try found.file.get(), entry.configuration)
      }
      let file = try ModelDirectory.file(path).get()
      return (file, [path + "/../model.yaml", path + "/model.yaml"].first { access($0, F_OK) == 0 })
    } catch {
      throw InputError("\(path): \(error.message)")
    }
  }
}
