import Dispatch
import Glibc
import MartletClient
import MartletCore
import MartletServer

/// Scores in this process: the same services as the server's, without a socket.
struct LocalScoreTransport: ScoreTransport {
  let scorer: InProcessScorer
  let batchesInFlight: Int

  /// Loads the models of a directory. Errors: the directory cannot be read.
  init(models: String) throws(Failure) {
    do throws(Status) {
      scorer = try InProcessScorer(models: models)
    } catch {
      throw Failure(.usage, error.message, hint: "--models takes a directory of NAME/VERSION/model.onnx")
    }
    // One more than there are cores, so that none waits while a result is written.
    batchesInFlight = max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) + 1
  }

  func describe(_ request: DescribeRequest) async throws(ClientError) -> DescribeResponse {
    let scorer = scorer
    return try await decode(run { () throws(Status) in try scorer.describe(request: request.encoded()) })
  }

  func score(_ request: ScoreRequest) async throws(ClientError) -> ScoreResponse {
    let scorer = scorer
    return try await decode(run { () throws(Status) in try scorer.score(request: request.encoded()) })
  }

  func close() async {}

  /// Runs `work`, which takes a while, on a thread of Dispatch's, and not on one of the few that tasks share.
  private func run(
    _ work: @escaping @Sendable () throws(Status) -> [UInt8]
  ) async throws(ClientError) -> [UInt8] {
    let result = await withCheckedContinuation { (continuation: CheckedContinuation<Result<[UInt8], Status>, Never>) in
      DispatchQueue.global().async {
        do throws(Status) {
          continuation.resume(returning: .success(try work()))
        } catch {
          continuation.resume(returning: .failure(error))
        }
      }
    }
    switch result {
    case .success(let bytes): return bytes
    // The engine's refusals are the server's: they read the same.
    case .failure(let status): throw ClientError(status.code, status.message, origin: .server)
    }
  }

  private func decode<Answer: IncomingMessage>(_ bytes: [UInt8]) throws(ClientError) -> Answer {
    do throws(MessageError) {
      return try Answer(decoding: bytes)
    } catch {
      throw ClientError(.internalError, "the engine's answer cannot be read: \(error)")
    }
  }
}
