// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableExperimentalFeature("Lifetimes"),
  // Debug builds, and so the tests, check exclusive access; in a release it costs a call for every property of a class
  // that changes.
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// A room of the server: a target whose tests, when it has any, mirror it.
func room(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")

let package = Package(
  name: "martlet",
  products: [
    .executable(name: "martlet", targets: ["martlet"]),
    .library(name: "MartletClient", targets: ["MartletClient"]),
    .library(name: "MartletServer", targets: ["MartletServer"]),
    .library(name: "MartletServices", targets: ["MartletServices"]),
    .library(name: "MartletFormats", targets: ["MartletFormats", "MartletCore"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
    .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
    .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", exact: "0.2.0"),
    .package(url: "https://github.com/swhitty/FlyingFox", exact: "0.27.1"),
  ],
  targets: [
    .systemLibrary(name: "CProtobufC", providers: [.apt(["libprotobuf-c-dev"])]),
    .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
    .target(name: "CProtos", dependencies: ["CProtobufC"], linkerSettings: [.linkedLibrary("protobuf-c")]),
    .target(name: "CLinux"),
    .target(name: "CKernels"),

    room("MartletCore", []),
    room("MartletSockets", ["MartletCore", "CLinux"]),
    room("MartletWire", ["MartletCore", "CProtos", "CProtobufC"]),
    room("MartletRPC", ["MartletCore", "MartletSockets", "MartletWire", "CProtos", "CProtobufC"]),
    room("MartletBatching", ["MartletCore"]),
    room("MartletEngine", ["MartletCore", "CKernels"]),
    room("MartletFormats", ["MartletCore", "MartletEngine", "CProtos", "CProtobufC"]),
    room(
      "MartletRepository",
      [
        "MartletCore", "MartletEngine", "MartletFormats", "COpenSSL", logging,
        .product(name: "Yams", package: "Yams"),
      ]),
    room(
      "MartletServices",
      [
        "MartletCore", "MartletRPC", "MartletBatching", "MartletRepository", "CProtos", "CProtobufC",
      ]),
    room("MartletMonitoring", ["MartletCore"]),
    room(
      "MartletAdmin",
      ["MartletCore", "MartletMonitoring", .product(name: "FlyingFox", package: "FlyingFox"), logging]),
    room(
      "MartletServer",
      [
        "MartletCore", "MartletSockets", "MartletWire", "MartletRPC", "MartletBatching", "MartletEngine",
        "MartletFormats", "MartletRepository", "MartletServices", "MartletMonitoring", "MartletAdmin", logging,
        .product(name: "Yams", package: "Yams"), "CLinux",
      ]),
    room("MartletClient", ["MartletCore", "MartletRPC", "MartletSockets", "MartletWire", "CProtos", "CProtobufC"]),
    room(
      "MartletLoad",
      ["MartletCore", "MartletClient", "MartletSockets", .product(name: "Histogram", package: "hdrhistogram-swift")]),
    .executableTarget(
      name: "martlet",
      dependencies: [
        "MartletCore", "MartletServer", "MartletClient", "MartletLoad", logging,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "pipeline-bench", dependencies: ["MartletCore", "MartletEngine", "MartletFormats"],
      path: "Benchmarks/pipelines/Sources", swiftSettings: strict),

    tests("MartletCoreTests", ["MartletCore"]),
    tests("MartletSocketsTests", ["MartletSockets", "MartletCore", "CLinux"]),
    tests("MartletWireTests", ["MartletWire", "MartletCore", "CProtos", "CProtobufC"]),
    tests("MartletRPCTests", ["MartletRPC", "MartletSockets", "MartletWire", "MartletCore", "CProtos"]),
    tests("MartletBatchingTests", ["MartletBatching", "MartletCore"]),
    tests("MartletEngineTests", ["MartletEngine", "MartletFormats", "MartletCore", "CKernels"]),
    tests("MartletFormatsTests", ["MartletFormats", "MartletEngine", "MartletCore"]),
    tests("MartletRepositoryTests", ["MartletRepository", "MartletCore", logging]),
    tests(
      "MartletServicesTests",
      [
        "MartletServices", "MartletRepository", "MartletBatching", "MartletEngine", "MartletRPC", "MartletWire",
        "MartletCore", "CProtos", "CProtobufC", logging,
      ]),
    tests("MartletMonitoringTests", ["MartletMonitoring", "MartletCore"]),
    tests("MartletAdminTests", ["MartletAdmin", "MartletMonitoring", "MartletCore", logging]),
    tests(
      "MartletClientTests",
      [
        "martlet", "MartletClient", "MartletServer", "MartletSockets", "MartletWire", "MartletCore", "CProtos",
        "CProtobufC",
      ]),
    tests(
      "MartletLoadTests", ["MartletLoad", "MartletClient", "MartletSockets", "MartletWire", "MartletCore"]),
    tests("MartletServerTests", ["MartletServer", "MartletRepository", "MartletCore", logging]),
  ]
)
