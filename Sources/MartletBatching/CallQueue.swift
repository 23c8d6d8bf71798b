import MartletCore

/// A scheduler and where the calls that wait in it lie.
struct CallQueue {
  var scheduler: Scheduler
  private var places: [CallPlace] = []

  init(_ options: Scheduler.Options) { scheduler = Scheduler(options) }

  mutating func enter(_ call: Scheduler.Arrival, at place: CallPlace) -> Int32 {
    let ticket = scheduler.enter(call)
    if Int(ticket) == places.count { places.append(place) } else { places[Int(ticket)] = place }
    return ticket
  }

  subscript(ticket: Int32) -> CallPlace { places[Int(ticket)] }
}
