import UIKit

/// From a picture to the input of the network: the same steps as in training, in the same order.
enum Pictures {
  static let height = [[ app.shape[1] ]]
  static let width = [[ app.shape[2] ]]

  /// Returns the pixels that the network takes, [[ app.shape[1:] | join(" x ") ]], 0 to 255[[ ", red before green before blue" if app.shape[3] == 3 else ", grey" ]].
  static func toInput(_ image: UIImage) -> [Float32]? {
    guard let (rgba, columns, rows) = pixels(of: image) else { return nil }
    return toInput(rgba, width: columns, height: rows)
  }

  /// Returns red, green, blue and alpha of each pixel, [[ "upright, " if app.picture.orientation == "exif" ]]on a [[ app.picture.background if app.picture.background != "ignored" else "black" ]] background, row by row.
  private static func pixels(of image: UIImage) -> ([UInt8], Int, Int)? {
[% if app.picture.orientation == "exif" %]
    let isTurned = [.left, .leftMirrored, .right, .rightMirrored].contains(image.imageOrientation)
    guard let stored = image.cgImage else { return nil }
    let columns = isTurned ? stored.height : stored.width
    let rows = isTurned ? stored.width : stored.height
[% else %]
    guard let stored = image.cgImage else { return nil }
    let (columns, rows) = (stored.width, stored.height)
[% endif %]
    var rgba = [UInt8](repeating: 0, count: columns * rows * 4)
    let isDrawn = rgba.withUnsafeMutableBytes { bytes -> Bool in
      guard
        let context = CGContext(
          data: bytes.baseAddress, width: columns, height: rows, bitsPerComponent: 8, bytesPerRow: columns * 4,
          space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.premultipliedLast.rawValue)
      else { return false }
      let whole = CGRect(x: 0, y: 0, width: columns, height: rows)
      context.setFillColor(gray: [[ 1 if app.picture.background == "white" else 0 ]], alpha: 1)
      context.fill(whole)
[% if app.picture.orientation == "exif" %]
      UIGraphicsPushContext(context)
      defer { UIGraphicsPopContext() }
      context.translateBy(x: 0, y: CGFloat(rows))
      context.scaleBy(x: 1, y: -1)
      image.draw(in: whole)  // turns the picture upright, as its EXIF tag says
[% else %]
      context.draw(stored, in: whole)
[% endif %]
      return true
    }
    return isDrawn ? (rgba, columns, rows) : nil
  }

  static func toInput(_ rgba: [UInt8], width columns: Int, height rows: Int) -> [Float32] {
[% if app.picture.fit == "crop" %]
    let scale = min(Float(rows) / Float(height), Float(columns) / Float(width))
    let cutRows = min(max(Int((Float(height) * scale).rounded(.toNearestOrEven)), 1), rows)
    let cutColumns = min(max(Int((Float(width) * scale).rounded(.toNearestOrEven)), 1), columns)
    let part = Part(
      rgba: rgba, width: columns, top: (rows - cutRows) / 2, left: (columns - cutColumns) / 2, rows: cutRows,
      columns: cutColumns)
    return channels(resized(part, height, width))
[% elif app.picture.fit == "letterbox" %]
    let scale = min(Float(height) / Float(rows), Float(width) / Float(columns))
    let innerRows = min(max(Int((Float(rows) * scale).rounded(.toNearestOrEven)), 1), height)
    let innerColumns = min(max(Int((Float(columns) * scale).rounded(.toNearestOrEven)), 1), width)
    let picture = Part(rgba: rgba, width: columns, top: 0, left: 0, rows: rows, columns: columns)
    let inner = resized(picture, innerRows, innerColumns)
    var whole = [Float32](repeating: [[ 255 if app.picture.background == "white" else 0 ]], count: height * width * 3)
    let top = (height - innerRows) / 2
    let left = (width - innerColumns) / 2
    for row in 0..<innerRows {
      for place in 0..<innerColumns * 3 {
        whole[((top + row) * width + left) * 3 + place] = inner[row * innerColumns * 3 + place]
      }
    }
    return channels(whole)
[% else %]
    let picture = Part(rgba: rgba, width: columns, top: 0, left: 0, rows: rows, columns: columns)
    return channels(resized(picture, height, width))
[% endif %]
  }

  /// A part of a picture.
  private struct Part {
    let rgba: [UInt8]
    let width: Int
    let top: Int
    let left: Int
    let rows: Int
    let columns: Int
  }

  /// Pixels that a pixel of the result is made of, from `start` on, and their weights.
  private struct Span {
    let start: Int
    let weights: [Float32]
  }

  /// Resizes bilinearly with antialiasing: a triangle as wide as the coarser of the two grids.
  private static func resized(_ picture: Part, _ rows: Int, _ columns: Int) -> [Float32] {
    let down = spans(picture.rows, rows)
    let across = spans(picture.columns, columns)
    var found = [Float32](repeating: 0, count: rows * columns * 3)
    for row in 0..<rows {
      var between = [Float32](repeating: 0, count: picture.columns * 3)
      for (place, weight) in down[row].weights.enumerated() {
        let start = ((picture.top + down[row].start + place) * picture.width + picture.left) * 4
        for column in 0..<picture.columns {
          for channel in 0..<3 {
            between[column * 3 + channel] += weight * Float32(picture.rgba[start + column * 4 + channel])
          }
        }
      }
      for column in 0..<columns {
        for (place, weight) in across[column].weights.enumerated() {
          for channel in 0..<3 {
            found[(row * columns + column) * 3 + channel] +=
              weight * between[(across[column].start + place) * 3 + channel]
          }
        }
      }
    }
    return found
  }

  private static func spans(_ from: Int, _ to: Int) -> [Span] {
    let step = Double(from) / Double(to)
    let reach = max(step, 1)
    return (0..<to).map { place in
      let middle = (Double(place) + 0.5) * step
      let start = min(max(Int((middle - reach - 0.5).rounded(.up)), 0), from - 1)
      let end = min(max(Int((middle + reach - 0.5).rounded(.down)), 0), from - 1)
      let weights = (start...end).map { max(0, 1 - abs((Double($0) + 0.5 - middle) / reach)) }
      let sum = weights.reduce(0, +)
      return Span(start: start, weights: weights.map { Float32($0 / sum) })
    }
  }

  private static func channels(_ rgb: [Float32]) -> [Float32] {
[% if app.shape[3] == 3 %]
    return rgb.map { min(max($0.rounded(.toNearestOrEven), 0), 255) }
[% else %]
    return (0..<rgb.count / 3).map {
      let grey = 0.299 * rgb[3 * $0] + 0.587 * rgb[3 * $0 + 1] + 0.114 * rgb[3 * $0 + 2]
      return min(max(grey.rounded(.toNearestOrEven), 0), 255)
    }
[% endif %]
  }
}
