import MartletCore

extension LoadReport {
  /// The report as one line of JSON. Durations are in seconds, shares are parts of 1.
  public var json: String {
    var json = JSONText()
    json.object { json in
      json.key("target")
      json.object { json in
        json.field("server", target.server)
        json.field("method", target.method)
        json.field("model", target.model)
        json.field("version", target.version)
        json.field("rows_per_call", target.rowsPerCall)
        json.field("distinct_calls", target.distinctCalls)
      }
      json.key("plan")
      json.object { json in
        switch plan.pace {
        case .closed(let concurrency):
          json.field("loop", "closed")
          json.field("concurrency", concurrency)
        case .open(let rate, let arrivals):
          json.field("loop", "open")
          json.field("rate", rate)
          json.field("arrivals", arrivals.rawValue)
          json.field("in_flight_bound", plan.maximumInFlight)
        }
        json.field("connections", plan.connections)
        json.field("threads", plan.threads)
        json.field("seed", plan.seed)
        json.field("duration_seconds", Self.seconds(plan.duration.wholeNanoseconds))
        json.field("warmup_seconds", Self.seconds(plan.warmup.wholeNanoseconds))
        json.field("timeout_seconds", Self.seconds(plan.timeout.wholeNanoseconds))
      }
      json.field("measured_seconds", Self.seconds(measuredNanoseconds))
      json.field("ended_early", endedEarly)
      json.key("calls")
      json.object { json in
        json.field("due", scheduled)
        json.field("sent", sent)
        json.field("answered", answered)
        json.field("ok", ok)
        json.field("timed_out", timedOut)
        json.field("disconnected", disconnected)
        json.field("never_sent", neverSent)
        json.field("per_second", callsPerSecond)
        json.field("rows_per_second", callsPerSecond * Double(target.rowsPerCall))
        json.field("error_share", errorShare)
        json.field("maximum_in_flight", maximumInFlight)
        json.field("reconnects", reconnects)
        json.field("request_bytes", requestBytes)
        json.field("response_bytes", responseBytes)
      }
      json.key("answers")
      json.object { json in
        for answer in answers { json.field(answer.code.name, answer.count) }
      }
      json.key("late")
      json.object { json in
        json.field("calls", late)
        json.field("share", lateShare)
        json.field("held_back", heldBack)
        json.field("maximum_seconds", Self.seconds(latestNanoseconds))
      }
      json.key("longest_silence")
      json.object { json in
        json.field("seconds", Self.seconds(silenceNanoseconds))
        json.field("start_seconds", Self.seconds(silenceStartNanoseconds))
        json.field("stall", hasStall)
      }
      json.key("latency")
      Self.write(latency, to: &json)
      json.key("service")
      Self.write(service, to: &json)
      if let floor {
        json.key("floor")
        json.object { json in
          json.field("request_bytes", floor.requestBytes)
          json.field("response_bytes", floor.responseBytes)
          json.field("per_second", floor.callsPerSecond)
          json.key("latency")
          Self.write(floor.latency, to: &json)
        }
      }
      json.field("valid", isValid)
      if objective != nil {
        json.key("objective")
        json.array { json in
          for verdict in verdicts {
            let scale = verdict.bound.measure == .errors ? 1 : 1e-9
            json.object { json in
              json.field("measure", verdict.bound.measure.name)
              json.field("limit", verdict.bound.limit * scale)
              json.field("measured", verdict.measured.map { $0 * scale })
              json.field("kept", verdict.isKept)
            }
          }
        }
      }
    }
    return json.text
  }

  private static func seconds(_ nanoseconds: UInt64) -> Double { Double(nanoseconds) / 1e9 }

  private static func write(_ distribution: Distribution, to json: inout JSONText) {
    json.object { json in
      json.field("count", distribution.count)
      guard distribution.count > 0 else { return }
      json.field("min_seconds", seconds(distribution.minimum))
      json.field("mean_seconds", distribution.mean / 1e9)
      for percentile in distribution.percentiles {
        json.field("\(percentile.name)_seconds", seconds(percentile.nanoseconds))
      }
      json.field("max_seconds", seconds(distribution.maximum))
    }
  }
}
