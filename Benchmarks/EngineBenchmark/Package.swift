// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that building the server never builds this.
let package = Package(
  name: "EngineBenchmark",
  dependencies: [.package(name: "martlet", path: "../..")],
  targets: [
    .executableTarget(
      name: "EngineBenchmark",
      dependencies: [.product(name: "MartletFormats", package: "martlet")],
      path: "Sources",
      swiftSettings: [.swiftLanguageMode(.v6)])
  ])
