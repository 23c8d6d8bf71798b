import Glibc
import MartletClient
import MartletCore

/// The rows of a file as calls of so many rows each, all of them in memory.
struct LoadRows {
  /// Longest file.
  static let maximumBytes = 256 << 20
  /// Most calls; the rest of a longer file is not used.
  static let maximumCalls = 100_000

  private let name: String
  private let batch: Int
  private let bytes: [UInt8]

  /// Reads the file at `path`, or standard input for `-`.
  init(path: String, batch: Int) throws(Failure) {
    name = path == "-" ? "standard input" : path
    self.batch = batch
    var descriptor = STDIN_FILENO
    if path != "-" {
      descriptor = open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else {
        throw Failure(.usage, "\(path) cannot be read: \(String(cString: strerror(errno)))")
      }
    }
    defer { if path != "-" { close(descriptor) } }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = block.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw Failure(.usage, "\(name) cannot be read: \(String(cString: strerror(errno)))")
      }
      if count == 0 { break }
      bytes.append(contentsOf: block[..<count])
      guard bytes.count <= Self.maximumBytes else {
        throw Failure(
          .usage, "\(name) has more than \(Self.maximumBytes >> 20) MiB", hint: "head -n 100000 cuts a part of it")
      }
    }
    self.bytes = bytes
  }

  /// Whole batches in the order of the file; one batch of a file with fewer rows, each as often as it takes.
  ///
  /// - Parameter builder: an empty one for the model.
  func requests(_ builder: RequestBuilder) throws -> [ScoreRequest] {
    let (requests, rows) = try read(times: 1, builder)
    guard rows > 0 else { throw Failure(.usage, "\(name) has no rows") }
    guard requests.isEmpty else { return requests }
    let times = (batch + rows - 1) / rows
    guard times * bytes.count <= Self.maximumBytes else {
      throw Failure(.usage, "\(name) has \(rows) rows, expected \(batch) for a call of --batch \(batch)")
    }
    return try read(times: times, builder).requests
  }

  private func read(times: Int, _ builder: RequestBuilder) throws -> (requests: [ScoreRequest], rows: Int) {
    var reader = try RowReader(ByteSource(bytes))
    var builder = builder
    var requests: [ScoreRequest] = []
    var rows = 0
    guard reader.format == .csv else {
      // One reader for all copies: it learns the columns from the rows.
      reader = try RowReader(ByteSource(Array(repeatElement(bytes, count: times).joined(separator: [0x0a]))))
      try append(&reader, to: &builder, &requests, &rows)
      return (requests, rows)
    }
    do throws(InputError) {
      try builder.check(columns: reader.columns)
    } catch {
      throw Failure(error, hint: "--ignore-extra passes over columns that are no features")
    }
    for time in 0..<times {
      if time > 0 { reader = try RowReader(ByteSource(bytes)) }
      try append(&reader, to: &builder, &requests, &rows)
    }
    return (requests, rows)
  }

  private func append(
    _ reader: inout RowReader, to builder: inout RequestBuilder, _ requests: inout [ScoreRequest], _ rows: inout Int
  ) throws {
    var row = InputRow()
    while requests.count < Self.maximumCalls {
      switch try reader.next(&row) {
      case .row:
        do throws(RowProblem) {
          try builder.append(row, columns: reader.columns)
        } catch {
          throw Failure(.usage, "\(name), \(error)")
        }
        rows += 1
        if builder.rows == batch { requests.append(builder.take()) }
      case .problem(let problem): throw Failure(.usage, "\(name), \(problem)")
      case .idle: continue
      case .end: return
      }
    }
  }
}
