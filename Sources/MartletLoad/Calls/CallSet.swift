import MartletClient
import MartletCore

/// The calls of a run, encoded once before it begins: they take turns, so that a server does not see the same rows
/// again and again.
public struct CallSet: Sendable {
  /// Most bytes of all frames together.
  public static let maximumBytes = 512 << 20

  let frames: [CallFrame]
  /// Mean of the frames' lengths.
  let meanBytes: Int

  init(method: RPCMethod, payloads: [[UInt8]], timeout: Duration) throws(ClientError) {
    var frames: [CallFrame] = []
    var bytes = 0
    for payload in payloads {
      do throws(Status) {
        let frame = try CallFrame(method: method, payload: payload, timeout: timeout)
        bytes += frame.byteCount
        frames.append(frame)
      } catch {
        throw ClientError(error.code, error.message)
      }
      guard bytes <= Self.maximumBytes else {
        throw ClientError(
          .resourceExhausted,
          "the calls take more than \(Self.maximumBytes >> 20) MiB; give fewer rows or a smaller batch")
      }
    }
    guard !frames.isEmpty else { throw ClientError(.invalidArgument, "there are no rows to send") }
    self.frames = frames
    meanBytes = bytes / frames.count
  }
}
