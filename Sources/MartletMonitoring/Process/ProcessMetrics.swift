import Glibc
import MartletCore

/// What every Prometheus client tells about its process, by the usual names; read from `/proc`.
///
/// What cannot be read is left out.
public struct ProcessMetrics: MetricSource {
  /// Seconds since 1970.
  private let startTime: Double?

  public init() { startTime = Self.readStartTime() }

  public func collect(into collector: inout MetricCollector) {
    var time = timespec()
    if clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) == 0 {
      collector.counter(
        "process_cpu_seconds_total", help: "User and system CPU time spent.",
        seconds: Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9)
    }
    let pages = Self.fields(of: "/proc/self/statm")
    if pages.count > 1, let virtual = Double(pages[0]), let resident = Double(pages[1]) {
      let bytes = Double(sysconf(Int32(_SC_PAGESIZE)))
      collector.gauge("process_virtual_memory_bytes", help: "Virtual memory size.", virtual * bytes)
      collector.gauge("process_resident_memory_bytes", help: "Resident memory size.", resident * bytes)
    }
    if let open = Self.openDescriptors() {
      collector.gauge("process_open_fds", help: "Open file descriptors.", Double(open))
    }
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
      collector.gauge("process_max_fds", help: "File descriptors that may be open.", Double(limit.rlim_cur))
    }
    if let startTime {
      collector.gauge("process_start_time_seconds", help: "When the process started, since 1970.", startTime)
    }
  }

  private static func readStartTime() -> Double? {
    // Field 22 in clock ticks since boot; the program's name, field 2, is in parentheses and may hold spaces.
    guard let text = read("/proc/self/stat"), let end = text.lastIndex(of: ")") else { return nil }
    let fields = text[text.index(after: end)...].split(separator: " ")
    guard fields.count > 19, let ticks = Double(fields[19]) else { return nil }
    var (now, uptime) = (timespec(), timespec())
    guard clock_gettime(CLOCK_REALTIME, &now) == 0, clock_gettime(CLOCK_BOOTTIME, &uptime) == 0 else { return nil }
    func seconds(_ time: timespec) -> Double { Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9 }
    return seconds(now) - seconds(uptime) + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }

  private static func openDescriptors() -> Int? {
    guard let directory = opendir("/proc/self/fd") else { return nil }
    defer { closedir(directory) }
    var count = 0
    while readdir(directory) != nil { count += 1 }
    // Less `.`, `..` and the descriptor that reads the directory.
    return max(0, count - 3)
  }

  private static func fields(of path: String) -> [Substring] { read(path)?.split(separator: " ") ?? [] }

  private static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
  }
}
