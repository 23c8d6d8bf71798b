import Foundation
import Yams

/// A value of a YAML file together with the line it stands on.
///
/// The reader is made for files of people, not for data: it bounds the size of the file and what aliases may expand
/// to, and refuses keys that are given twice.
public struct YAMLNode: Sendable {
  public indirect enum Content: Sendable {
    /// The text as written, without quotes; `plain` when it had none, so that `null` differs from `"null"`.
    case scalar(String, plain: Bool)
    case list([YAMLNode])
    /// In the order of the file.
    case map([Entry])
  }

  public struct Entry: Sendable {
    public var key: String
    /// Line of the key, from 1.
    public var line: Int
    public var value: YAMLNode
  }

  public var content: Content
  /// From 1.
  public var line: Int

  /// Whether nothing was written: `key:`, `~` or `null`.
  public var isNull: Bool {
    if case .scalar(let text, plain: true) = content { return ["", "~", "null"].contains(text) }
    return false
  }

  /// What stands here, for messages.
  public var kind: String {
    switch content {
    case .scalar: isNull ? "nothing" : "a single value"
    case .list: "a list"
    case .map: "a map of keys"
    }
  }

  /// Bytes of a file, at most.
  public static let maximumBytes = 1 << 20
  private static let maximumAliases = 16
  private static let maximumNodes = 100_000

  /// Reads a file. Nil when it holds nothing but comments.
  ///
  /// Errors name the file, and the line where there is one.
  public static func read(file path: String) throws(ConfigurationError) -> YAMLNode? {
    let bytes: Data
    do {
      let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
      defer { try? handle.close() }
      bytes = try handle.read(upToCount: maximumBytes + 1) ?? Data()
    } catch {
      let reason = FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file"
      throw ConfigurationError(.file(path, line: 0), reason)
    }
    guard bytes.count <= maximumBytes else {
      throw ConfigurationError(.file(path, line: 0), "more than \(maximumBytes) bytes")
    }
    guard let text = String(validatingUTF8: bytes) else {
      throw ConfigurationError(.file(path, line: 0), "not UTF-8 text")
    }
    return try parse(text, file: path)
  }

  /// Reads `text`; `file` is the name that errors show. Nil when it holds nothing but comments.
  public static func parse(_ text: String, file: String) throws(ConfigurationError) -> YAMLNode? {
    // Each alias may stand for all that came before it, so a handful of lines could expand without end; counting
    // them first keeps the product small.
    guard aliasCount(text) <= maximumAliases else {
      throw ConfigurationError(.file(file, line: 0), "more than \(maximumAliases) aliases (*name)")
    }
    let root: Node?
    do {
      root = try Parser(yaml: text, encoding: .utf8).singleRoot()
    } catch let error as YamlError {
      throw refusal(error, file: file)
    } catch {
      throw ConfigurationError(.file(file, line: 0), "not YAML")
    }
    guard let root else { return nil }
    var budget = maximumNodes
    return try convert(root, file: file, budget: &budget)
  }

  /// Counts what may be an alias: too many rather than too few, since comments and quoted texts count as well.
  private static func aliasCount(_ text: String) -> Int {
    func isNamePart(_ byte: UInt8) -> Bool {
      (byte >= 0x30 && byte <= 0x39) || (byte | 0x20 >= 0x61 && byte | 0x20 <= 0x7A) || byte == 0x5F || byte == 0x2D
    }
    var count = 0
    var (before, last): (UInt8, UInt8) = (0x0A, 0x0A)
    for byte in text.utf8 {
      let startsWord = before == 0x2D || !isNamePart(before)
      if last == UInt8(ascii: "*"), startsWord, before != last, isNamePart(byte) { count += 1 }
      (before, last) = (last, byte)
    }
    return count
  }

  private static func convert(_ node: Node, file: String, budget: inout Int) throws(ConfigurationError) -> YAMLNode {
    let line = node.mark?.line ?? 0
    budget -= 1
    guard budget >= 0 else {
      throw ConfigurationError(.file(file, line: line), "more than \(maximumNodes) values")
    }
    switch node {
    case .scalar(let scalar):
      return YAMLNode(content: .scalar(scalar.string, plain: scalar.style == .plain), line: line)
    case .sequence(let sequence):
      var items: [YAMLNode] = []
      for item in sequence { items.append(try convert(item, file: file, budget: &budget)) }
      return YAMLNode(content: .list(items), line: line)
    case .mapping(let mapping):
      var entries: [Entry] = []
      for (key, value) in mapping {
        let line = key.mark?.line ?? line
        guard case .scalar(let name) = key else {
          throw ConfigurationError(.file(file, line: line), "a key must be a word")
        }
        entries.append(
          Entry(key: name.string, line: line, value: try convert(value, file: file, budget: &budget)))
      }
      return YAMLNode(content: .map(entries), line: line)
    case .alias:
      throw ConfigurationError(.file(file, line: line), "an alias that names nothing")
    }
  }

  private static func refusal(_ error: YamlError, file: String) -> ConfigurationError {
    switch error {
    case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _),
      .composer(_, let problem, let mark, _):
      ConfigurationError(.file(file, line: mark.line), "not YAML: \(problem)")
    case .duplicatedKeysInMapping(let duplicates, let context):
      ConfigurationError(
        .file(file, line: context.mark.line),
        "given twice: \(duplicates.map { ConfigurationError.quoted($0) }.joined(separator: ", "))")
    case .reader(let problem, _, _, _):
      ConfigurationError(.file(file, line: 0), "not YAML: \(problem)")
    default: ConfigurationError(.file(file, line: 0), "not YAML")
    }
  }
}

extension String {
  fileprivate init?(validatingUTF8 bytes: Data) {
    guard let text = bytes.withUnsafeBytes({ String(validating: $0, as: UTF8.self) }) else { return nil }
    self = text
  }
}
