import Glibc
import MartletCore

/// Rows of a file in memory, of which every call takes the next ones. Written by `Benchmarks/engine/engines.py`.
///
/// `@unchecked Sendable`: written by `init` only.
final class RowPool: @unchecked Sendable {
  struct Failure: Error { var message: String }

  private enum Input {
    case floats(width: Int, UnsafeRawPointer)
    /// Texts as a call brings them, each with its length in front, and where each ends.
    case texts(width: Int, ends: UnsafePointer<UInt64>, UnsafeRawPointer)
  }

  let rows: Int
  private let bytes: UnsafeMutableRawBufferPointer
  private var inputs: [Input] = []

  init(path: String) throws {
    guard let file = fopen(path, "rb") else { throw Failure(message: "\(path) cannot be opened") }
    defer { fclose(file) }
    fseek(file, 0, SEEK_END)
    bytes = .allocate(byteCount: ftell(file), alignment: 64)
    rewind(file)
    guard fread(bytes.baseAddress, 1, bytes.count, file) == bytes.count, bytes.count >= 16 else {
      throw Failure(message: "\(path) cannot be read")
    }
    let start = UnsafeRawPointer(bytes.baseAddress!)
    guard start.loadUnaligned(as: UInt32.self) == 0x4c4f_4f50 else { throw Failure(message: "\(path) is no pool") }
    let count = Int(start.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    rows = Int(start.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    var next = start + 16
    for _ in 0..<count {
      let isText = next.loadUnaligned(as: UInt32.self) == 1
      let width = Int(next.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
      next += 8
      guard isText else {
        inputs.append(.floats(width: width, next))
        next += rows * width * 4
        continue
      }
      // The ends must lie aligned.
      let ends = UnsafeMutablePointer<UInt64>.allocate(capacity: rows * width)
      UnsafeMutableRawPointer(ends).copyMemory(from: next, byteCount: rows * width * 8)
      next += rows * width * 8
      inputs.append(.texts(width: width, ends: ends, next))
      next += Int(ends[rows * width - 1])
    }
    guard next - start == bytes.count else { throw Failure(message: "\(path) is not as long as it says") }
  }

  /// What the model takes must be what the pool has.
  func check(_ signature: ModelSignature) throws {
    let wanted = signature.inputs.map { "\($0.type) × \($0.width)" }
    let have = inputs.map { input in
      switch input {
      case .floats(let width, _): "float32 × \(width)"
      case .texts(let width, _, _): "text × \(width)"
      }
    }
    guard wanted == have else { throw Failure(message: "the model takes \(wanted), the pool has \(have)") }
  }

  /// Puts `count` rows from `first` into the tile's first ones, as decoding a call does and with its functions: texts
  /// are read where they lie, and looked up or copied.
  @inline(__always)
  func fill(_ tile: Tile, first: Int, count: Int) {
    tile.reset()
    tile.rows = count
    for index in 0..<inputs.count {
      switch inputs[index] {
      case .floats(let width, let values):
        let stride = width * 4
        tile.input(index).copyMemory(from: values + first * stride, byteCount: count * stride)
      case .texts(let width, let ends, let bytes):
        let start = first == 0 ? 0 : Int(ends[first * width - 1])
        let end = Int(ends[(first + count) * width - 1])
        let problem = TextTarget(tile, input: index, firstRow: 0)
          .fill(counted: UnsafeRawBufferPointer(start: bytes + start, count: end - start), count: count * width)
        precondition(problem == nil, "the pool's texts are not what they were written as")
      }
    }
  }
}
