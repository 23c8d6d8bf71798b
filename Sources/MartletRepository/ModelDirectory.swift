import Glibc

/// What lies in a model repository on disk: `NAME/VERSION/model.*`, with `NAME/model.yaml` beside the versions.
struct ModelDirectory {
  struct Version {
    var number: Int
    /// The model file, or why there is none.
    var file: Result<String, ModelDirectoryError>
  }

  struct Entry {
    var name: String
    var path: String
    var versions: [Version]
    /// Path of model.yaml, where there is one.
    var configuration: String?
  }

  struct ModelDirectoryError: Error {
    var message: String
  }

  private static let longestName = 255

  /// Directories that hold at least one version; others, and what begins with a dot, are not models.
  ///
  /// Throws when the repository itself cannot be read.
  static func scan(_ directory: String) throws(ModelDirectoryError) -> [Entry] {
    var entries: [Entry] = []
    for name in try list(directory) where !name.hasPrefix(".") && name.utf8.count <= longestName {
      let path = directory + "/" + name
      guard isDirectory(path) else { continue }
      if let entry = try entry(name, path) { entries.append(entry) }
    }
    return entries
  }

  /// One model's directory; nil when it is not there or holds no version.
  static func entry(_ name: String, in directory: String) throws(ModelDirectoryError) -> Entry? {
    guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), name.utf8.count <= longestName else { return nil }
    let path = directory + "/" + name
    return isDirectory(path) ? try entry(name, path) : nil
  }

  /// The model whose directory is at `path`; nil when it holds no version.
  static func entry(at path: String) throws(ModelDirectoryError) -> Entry? { try entry(path, path) }

  private static func entry(_ name: String, _ path: String) throws(ModelDirectoryError) -> Entry? {
    let names = try list(path)
    var versions: [Version] = []
    for version in names {
      guard let number = Int(version), number > 0, String(number) == version, isDirectory(path + "/" + version) else {
        continue
      }
      versions.append(Version(number: number, file: file(path + "/" + version)))
    }
    guard !versions.isEmpty else { return nil }
    versions.sort { $0.number > $1.number }
    return Entry(
      name: name, path: path, versions: versions,
      configuration: names.contains("model.yaml") ? path + "/model.yaml" : nil)
  }

  /// The one file whose name is `model` with some extension: its content, not its name, decides the format.
  static func file(_ path: String) -> Result<String, ModelDirectoryError> {
    do throws(ModelDirectoryError) {
      let files = try list(path).filter { $0.hasPrefix("model.") && $0 != "model.yaml" }
      guard let file = files.first, files.count == 1 else {
        let found = files.isEmpty ? "there is none" : "there are " + files.joined(separator: ", ")
        return .failure(ModelDirectoryError(message: "one file model.* is expected in a version; \(found)"))
      }
      return .success(path + "/" + file)
    } catch {
      return .failure(error)
    }
  }

  private static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  private static func list(_ path: String) throws(ModelDirectoryError) -> [String] {
    guard let directory = opendir(path) else {
      throw ModelDirectoryError(message: "\(path): \(String(cString: strerror(errno)))")
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(validatingCString: $0) }
      }
      // A name that is not UTF-8 cannot be asked for.
      if let name, name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}

/// What tells whether a file is still the one that was read.
struct FileIdentity: Equatable {
  var device: UInt64
  var inode: UInt64
  var bytes: Int
  var modifiedNanoseconds: Int

  init?(_ path: String) {
    var status = stat()
    guard stat(path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    bytes = Int(status.st_size)
    modifiedNanoseconds = status.st_mtim.tv_sec * 1_000_000_000 + status.st_mtim.tv_nsec
  }
}

/// The bytes of a file, read whole.
final class FileBytes {
  let bytes: UnsafeMutableRawBufferPointer

  /// Throws when the file cannot be read, is not a regular file or is longer than `limit` bytes.
  init(
    _ path: String, limit: Int, limitName: String = "limits.model_file_bytes allows"
  ) throws(ModelDirectory.ModelDirectoryError) {
    func failed(_ what: String) -> ModelDirectory.ModelDirectoryError { .init(message: "\(path): \(what)") }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw failed(String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw failed("is not a regular file")
    }
    guard status.st_size <= limit else {
      throw failed("has \(status.st_size) bytes; \(limitName) \(limit)")
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Int(status.st_size), alignment: 16)
    var filled = 0
    while filled < buffer.count {
      let count = read(descriptor, buffer.baseAddress! + filled, buffer.count - filled)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else {
        buffer.deallocate()
        throw failed(count < 0 ? String(cString: strerror(errno)) : "became shorter while it was read")
      }
      filled += count
    }
    bytes = buffer
  }

  deinit { bytes.deallocate() }
}
