import MartletCore
import MartletWire

/// The rules of ttrpc as a client sees them: bytes in, one event out at a time; no I/O.
///
/// The owner calls `next` with everything unread and drops `consumed` bytes after each event, until `needMore`.
struct TTRPCClientConnection: Sendable {
  /// What a peer did that no ttrpc server does.
  enum BrokenRule: Sendable, Equatable {
    /// The first byte of a frame is not 0, so the peer speaks something else.
    case notTTRPC
    /// A response to a stream that was never opened.
    case unknownStream(UInt32)
    /// A frame that is no response.
    case unexpectedKind(UInt8)
  }

  /// The answer to a call; the ranges lie in the bytes that `next` was given.
  struct Answer: Sendable, Equatable {
    var call: UInt64
    var code: Int32
    var message: Range<Int>
    var payload: Range<Int>
    /// How long the server asks to be left alone, in nanoseconds; 0 when it says nothing about that.
    var retryNanoseconds: UInt64 = 0
  }

  enum Event: Sendable, Equatable {
    /// Nothing more can be said until there are at least this many unread bytes.
    case needMore(bytes: Int)
    case answered(Answer)
    /// The answer is longer than the protocol allows; its bytes are passed over.
    case oversized(call: UInt64, bytes: Int)
    /// The answer is no `ttrpc.Response`.
    case malformed(call: UInt64)
    /// The answer to a call that nobody waits for any more, or a part of an oversized one.
    case skipped
    /// The connection ends.
    case broken(BrokenRule)
  }

  private var inFlight = StreamTable()
  private var nextStream: UInt32 = 1
  /// Bytes of an oversized frame that are still to come.
  private var discarding = 0

  init() {}

  /// Starts counting at `stream`, for tests of the end of the numbers.
  init(firstStream: UInt32) { nextStream = firstStream | 1 }

  var callsInFlight: Int { inFlight.count }

  /// The number for a new call's stream; nil when the numbers are used up, and the connection is to be replaced.
  mutating func open(call: UInt64) -> UInt32? {
    guard nextStream < UInt32.max else { return nil }
    let stream = nextStream
    nextStream += 2
    inFlight.insert(stream: stream, call: call)
    return stream
  }

  /// Nobody waits for the answer on `stream` any more; false when it is not in flight.
  mutating func forget(stream: UInt32) -> Bool { inFlight.remove(stream: stream) != nil }

  /// The connection is gone: the calls that get no answer, oldest first.
  mutating func abandon() -> [UInt64] { inFlight.removeAll() }

  mutating func next(_ bytes: UnsafeRawBufferPointer) -> (event: Event, consumed: Int) {
    if discarding > 0 {
      let now = min(discarding, bytes.count)
      discarding -= now
      return now == 0 ? (.needMore(bytes: 1), 0) : (.skipped, now)
    }
    guard let frame = TTRPCFrame(bytes) else { return (.needMore(bytes: TTRPCFrame.headerBytes), 0) }
    guard frame.dataBytes >> 24 == 0 else { return (.broken(.notTTRPC), 0) }
    guard frame.stream % 2 == 1, frame.stream < nextStream else { return (.broken(.unknownStream(frame.stream)), 0) }
    guard frame.kind == TTRPCFrame.Kind.response else { return (.broken(.unexpectedKind(frame.kind)), 0) }
    let dataBytes = Int(frame.dataBytes)
    guard dataBytes <= TTRPCFrame.maximumDataBytes else {
      discarding = dataBytes
      let call = inFlight.remove(stream: frame.stream)
      return (call.map { .oversized(call: $0, bytes: dataBytes) } ?? .skipped, TTRPCFrame.headerBytes)
    }
    let whole = TTRPCFrame.headerBytes + dataBytes
    guard bytes.count >= whole else { return (.needMore(bytes: whole), 0) }
    guard let call = inFlight.remove(stream: frame.stream) else { return (.skipped, whole) }
    do {
      return (.answered(try Self.answer(call, bytes, TTRPCFrame.headerBytes..<whole)), whole)
    } catch {
      return (.malformed(call: call), whole)
    }
  }

  /// Reads the envelope, which is a `ttrpc.Response`.
  private static func answer(
    _ call: UInt64, _ bytes: UnsafeRawBufferPointer, _ data: Range<Int>
  ) throws(MessageError) -> Answer {
    var answer = Answer(call: call, code: 0, message: 0..<0, payload: 0..<0)
    let span = RawSpan(_unsafeBytes: bytes)
    var envelope = ProtobufReader(span.extracting(data))
    while try envelope.next() {
      switch envelope.field {
      case 1:
        let status = try envelope.byteRange().shifted(by: data.lowerBound)
        var reader = ProtobufReader(span.extracting(status))
        while try reader.next() {
          switch reader.field {
          case 1: answer.code = try reader.int32()
          case 2: answer.message = try reader.byteRange().shifted(by: status.lowerBound)
          case 3:
            let detail = try reader.message()
            answer.retryNanoseconds = max(answer.retryNanoseconds, try retryNanoseconds(detail))
          default: try reader.skip()
          }
        }
      case 2: answer.payload = try envelope.byteRange().shifted(by: data.lowerBound)
      default: try envelope.skip()
      }
    }
    return answer
  }

  /// The delay of a `google.rpc.RetryInfo` in an `Any`; 0 when it is something else.
  private static func retryNanoseconds(_ detail: consuming ProtobufReader) throws(MessageError) -> UInt64 {
    var isRetryInfo = false
    var nanoseconds: UInt64 = 0
    while try detail.next() {
      switch detail.field {
      case 1: isRetryInfo = try detail.string().hasSuffix("/google.rpc.RetryInfo")
      case 2 where isRetryInfo:
        var info = try detail.message()
        while try info.next() {
          guard info.field == 1 else {
            try info.skip()
            continue
          }
          var delay = try info.message()
          while try delay.next() {
            switch delay.field {
            // A longer wait than a year is none that anybody means.
            case 1: nanoseconds += UInt64(clamping: min(max(0, try delay.signed()), 31_536_000)) * 1_000_000_000
            case 2: nanoseconds += UInt64(min(max(0, try delay.int32()), 999_999_999))
            default: try delay.skip()
            }
          }
        }
      default: try detail.skip()
      }
    }
    return nanoseconds
  }
}

extension Range<Int> {
  fileprivate func shifted(by offset: Int) -> Range<Int> { lowerBound + offset..<upperBound + offset }
}
