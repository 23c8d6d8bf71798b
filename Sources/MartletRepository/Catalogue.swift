import MartletCore

/// The models that serve at one moment: an immutable snapshot, of which every reactor holds its own reference.
public final class Catalogue: Sendable {
  public struct Entry: Sendable {
    public let name: String
    /// Loaded versions, the highest first; the first one serves. Empty: the model is known but cannot be served.
    public let versions: [Model]
    /// Why there is no version, or why a newer one than the first is missing.
    public let reason: String
    /// The server is not ready without it, whatever its policy is.
    public let isRequired: Bool

    public init(name: String, versions: [Model], reason: String, isRequired: Bool = false) {
      self.name = name
      self.versions = versions
      self.reason = reason
      self.isRequired = isRequired
    }
  }

  public let entries: [Entry]
  /// Every loaded version of every model.
  public let models: [Model]
  /// Where an entry's versions begin in `models`.
  private let firstModel: [Int]
  private let index: NameIndex

  public init(_ entries: [Entry]) {
    self.entries = entries.sorted { $0.name < $1.name }
    models = self.entries.flatMap(\.versions)
    var first = 0
    firstModel = self.entries.map { entry in
      defer { first += entry.versions.count }
      return first
    }
    index = NameIndex(self.entries.map(\.name))
  }

  /// Index into `models` of the one that a caller named.
  ///
  /// - Parameter version: digits, or empty for the version that serves.
  /// Errors: NOT_FOUND for a name or version that is not there, UNAVAILABLE for a model that failed to load.
  public func find(name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer) throws(Status) -> Int {
    guard let position = index.find(name) else {
      throw Status(
        .notFound,
        "model: \(Self.quoted(name)) is not in the repository; it holds \(entries.map(\.name).joined(separator: ", "))")
    }
    let entry = entries[position]
    if version.count == 0 {
      guard !entry.versions.isEmpty else {
        throw Status(.unavailable, "model \"\(entry.name)\" is not ready: \(entry.reason)")
      }
      return firstModel[position]
    }
    for (offset, model) in entry.versions.enumerated() where Self.equal(model.versionText, version) {
      return firstModel[position] + offset
    }
    let loaded = entry.versions.map(\.versionText).joined(separator: ", ")
    throw Status(
      .notFound,
      "version: \(Self.quoted(version)) of model \"\(entry.name)\" is not loaded; loaded are: \(loaded.isEmpty ? "none" : loaded)"
    )
  }

  /// The same; nil where `find` has an error to tell.
  public func position(name: UnsafeRawBufferPointer, version: UnsafeRawBufferPointer) -> Int? {
    guard let position = index.find(name) else { return nil }
    let versions = entries[position].versions
    if version.count == 0 { return versions.isEmpty ? nil : firstModel[position] }
    for offset in 0..<versions.count where Self.equal(versions[offset].versionText, version) {
      return firstModel[position] + offset
    }
    return nil
  }

  private static func equal(_ text: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
    text.utf8.count == bytes.count && text.utf8.elementsEqual(bytes)
  }

  /// A name that came in, for a message: at most 64 bytes of it.
  private static func quoted(_ name: UnsafeRawBufferPointer) -> String {
    let text = String(decoding: name.prefix(64), as: UTF8.self)
    return name.count > 64 ? "\"\(text)…\"" : "\"\(text)\""
  }
}
