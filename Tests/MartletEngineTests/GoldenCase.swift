import Foundation
import MartletCore
import Testing

/// A case of the golden data: a model with inputs and the answers of ONNX Runtime (`Tests/Golden/README.md`).
struct GoldenCase: Sendable, CustomTestStringConvertible {
  struct Tensor: Decodable, Sendable {
    var name: String
    var type: String
    var shape: [Int]
    var offset: Int
    var bytes: Int
    var classes: [ClassName]?
  }

  /// A class as JSON has it.
  enum ClassName: Decodable, Equatable, Sendable {
    case text(String)
    case integer(Int64)

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let integer = try? container.decode(Int64.self) {
        self = .integer(integer)
      } else {
        self = .text(try container.decode(String.self))
      }
    }
  }

  private struct Description: Decodable {
    var name: String
    var family: String
    var rows: Int
    var tolerance: String
    var inputs: [Tensor]
    var outputs: [Tensor]
  }

  let directory: URL
  var testDescription: String { directory.lastPathComponent }

  /// All cases below the directory that the environment names; none when it names none.
  static func all(_ variable: String) -> [GoldenCase] {
    guard let path = ProcessInfo.processInfo.environment[variable], !path.isEmpty else { return [] }
    let directory = URL(fileURLWithPath: path, isDirectory: true)
    let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
    return names.sorted().map { GoldenCase(directory: directory.appendingPathComponent($0)) }
      .filter { FileManager.default.fileExists(atPath: $0.directory.appendingPathComponent("case.json").path) }
  }

  /// A case with its files read.
  struct Loaded {
    var name: String
    var family: String
    var rows: Int
    var isExact: Bool
    var inputs: [(tensor: Tensor, values: GoldenValues)]
    var outputs: [(tensor: Tensor, values: GoldenValues)]
    var model: [UInt8]
  }

  func load() throws -> Loaded {
    let description = try JSONDecoder().decode(
      Description.self, from: Data(contentsOf: directory.appendingPathComponent("case.json")))
    let data = [UInt8](try Data(contentsOf: directory.appendingPathComponent("data.bin")))
    func values(_ tensor: Tensor) -> (tensor: Tensor, values: GoldenValues) {
      (tensor, GoldenValues(tensor, data[tensor.offset..<(tensor.offset + tensor.bytes)]))
    }
    return Loaded(
      name: description.name, family: description.family, rows: description.rows,
      isExact: description.tolerance == "exact", inputs: description.inputs.map(values),
      outputs: description.outputs.map(values),
      model: [UInt8](try Data(contentsOf: directory.appendingPathComponent("model.onnx"))))
  }
}

/// The elements of a golden tensor: raw little-endian numbers, or texts.
struct GoldenValues {
  let type: ElementType
  let shape: [Int]
  private(set) var bytes: [UInt8] = []
  private(set) var texts: [[UInt8]] = []

  var count: Int { shape.reduce(1, *) }

  init(_ tensor: GoldenCase.Tensor, _ data: ArraySlice<UInt8>) {
    type = ElementType(datatype: tensor.type)!
    shape = tensor.shape
    guard type == .text else {
      bytes = Array(data)
      return
    }
    var rest = data
    for _ in 0..<count {
      let length = rest.prefix(4).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
      texts.append(Array(rest.dropFirst(4).prefix(length)))
      rest = rest.dropFirst(4 + length)
    }
  }

  /// Elements that lie at `start` in the engine's memory.
  init(_ type: ElementType, _ shape: [Int], at start: UnsafeRawPointer) {
    self.type = type
    self.shape = shape
    if type == .text {
      let refs = start.assumingMemoryBound(to: TextRef.self)
      texts = (0..<count).map { Array(refs[$0].bytes) }
    } else {
      bytes = Array(UnsafeRawBufferPointer(start: start, count: count * type.byteWidth))
    }
  }

  /// Writes all elements to `start`, texts into `heap`.
  func write(to start: UnsafeMutableRawPointer, heap: TextHeap) {
    guard type == .text else {
      return bytes.withUnsafeBytes {
        start.copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
      }
    }
    for (index, text) in texts.enumerated() {
      start.storeBytes(
        of: text.withUnsafeBytes { heap.store($0) }, toByteOffset: index * MemoryLayout<TextRef>.stride,
        as: TextRef.self)
    }
  }

  private func number(_ index: Int) -> Double? {
    bytes.withUnsafeBytes { raw in
      switch type {
      case .float32: Double(raw.loadUnaligned(fromByteOffset: index * 4, as: Float.self))
      case .float64: raw.loadUnaligned(fromByteOffset: index * 8, as: Double.self)
      case .float16: Double(raw.loadUnaligned(fromByteOffset: index * 2, as: Float16.self))
      default: nil
      }
    }
  }

  private func describe(_ index: Int) -> String {
    if type == .text { return "'\(String(decoding: texts[index], as: UTF8.self))'" }
    if let number = number(index) { return "\(number)" }
    return "0x"
      + bytes[(index * type.byteWidth)..<((index + 1) * type.byteWidth)].reversed()
      .map { String($0, radix: 16) }.joined(separator: "_")
  }

  /// Where these values differ from the expected ones, for people; nil when they do not.
  ///
  /// Exact: the same bits, any NaN like any other. Otherwise numbers within 1e-6 of max(1, |b|).
  func difference(from expected: GoldenValues, isExact: Bool, except isExcused: (Int) -> Bool = { _ in false })
    -> String?
  {
    guard type == expected.type, count == expected.count else {
      return "is \(type) \(shape), expected \(expected.type) \(expected.shape)"
    }
    var different: [Int] = []
    for index in 0..<count where !isEqual(expected, index, isExact) && !isExcused(index) { different.append(index) }
    guard let first = different.first else { return nil }
    return "\(different.count) of \(count) differ, element \(first) is \(describe(first)), "
      + "expected \(expected.describe(first))"
  }

  /// Where these values differ from the expected ones by more than `absolute` + `relative` |b|; nil when they do not.
  func difference(from expected: GoldenValues, relative: Double, _ absolute: Double) -> String? {
    guard type == expected.type, count == expected.count else {
      return "is \(type) \(shape), expected \(expected.type) \(expected.shape)"
    }
    for index in 0..<count where !isEqual(expected, index, true) {
      guard let a = number(index), let b = expected.number(index),
        a == b || abs(a - b) <= absolute + relative * abs(b)
      else { return "element \(index) is \(describe(index)), expected \(expected.describe(index))" }
    }
    return nil
  }

  private func isEqual(_ expected: GoldenValues, _ index: Int, _ isExact: Bool) -> Bool {
    if type == .text { return texts[index] == expected.texts[index] }
    let range = (index * type.byteWidth)..<((index + 1) * type.byteWidth)
    if bytes[range] == expected.bytes[range] { return true }
    guard let a = number(index), let b = expected.number(index) else { return false }
    if a.isNaN && b.isNaN { return true }
    return !isExact && (a == b || abs(a - b) <= 1e-6 * max(1, abs(b)))
  }

  /// The two greatest numbers of row `row` of `width` differ by so much.
  func margin(_ row: Int, width: Int) -> Double? {
    guard width > 1, (row + 1) * width <= count, number(0) != nil else { return nil }
    let sorted = (0..<width).map { number(row * width + $0)! }.sorted(by: >)
    return sorted[0] - sorted[1]
  }
}
