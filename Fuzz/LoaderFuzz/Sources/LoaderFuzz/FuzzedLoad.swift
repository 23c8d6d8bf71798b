import CAllocations
import MartletCore
import MartletEngine
import MartletFormats

/// One input of a fuzzer: loaded as a server loads a model file, and scored when it loads.
public enum FuzzedLoad {
  /// Memory that a load may take: four times the file and 16 MiB.
  private static func limit(_ bytes: Int) -> Int { 4 * bytes + 16 << 20 }

  private static let installed: Bool = {
    guard martlet_allocations_install() != 0 else { fatalError("the allocator has no hooks") }
    return true
  }()

  /// Returns -1 for an input that is of another loader, which keeps it out of the corpus.
  ///
  /// Traps when the load takes more memory than it may; a crash or a hang is seen by libFuzzer.
  public static func run(
    _ data: UnsafePointer<UInt8>?, _ count: Int, accepts: (UnsafeRawBufferPointer) -> Bool
  ) -> Int32 {
    let bytes = UnsafeRawBufferPointer(start: data, count: count)
    guard installed, accepts(bytes) else { return -1 }
    martlet_allocations_begin()
    let model = load(bytes)
    let peak = Int(martlet_allocations_peak())
    guard peak <= limit(count) else {
      fatalError("loading a file of \(count) bytes took \(peak) bytes, the limit is \(limit(count))")
    }
    if let model { score(model) }
    return 0
  }

  private static func load(_ bytes: UnsafeRawBufferPointer) -> LoadedModel? {
    do throws(ModelError) {
      return try ModelLoader.load(bytes: bytes, planning: PlanningOptions(measuringNanoseconds: 0))
    } catch {
      guard !error.message.isEmpty else { fatalError("refused without a reason") }
      return nil
    }
  }

  /// Two rows of zero bytes: numbers are 0, texts are empty, or the first of their keys where numbers take their place.
  private static func score(_ model: LoadedModel) {
    for tile in [Tile(signature: model.plan.signature, capacity: 2), Tile(plan: model.plan, capacity: 2)] {
      for index in tile.inputs.indices {
        tile.input(index).initializeMemory(as: UInt8.self, repeating: 0, count: 2 * tile.stride(index))
      }
      tile.rows = 2
      // A refusal is an answer here; what is looked for are crashes and reports.
      try? model.plan.score(tile, rows: 0..<2, scratch: model.plan.makeScratch())
    }
  }
}
