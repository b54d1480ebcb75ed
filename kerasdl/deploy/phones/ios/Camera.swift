import SwiftUI
import UIKit

/// The system's camera; it needs NSCameraUsageDescription, which the project sets.
struct Camera: UIViewControllerRepresentable {
  let taken: (UIImage) -> Void
  @Environment(\.dismiss) private var dismiss

  func makeUIViewController(context: Context) -> UIImagePickerController {
    let controller = UIImagePickerController()
    controller.sourceType = .camera
    controller.delegate = context.coordinator
    return controller
  }

  func updateUIViewController(_ controller: UIImagePickerController, context: Context) {}

  func makeCoordinator() -> Coordinator { Coordinator(camera: self) }

  final class Coordinator: NSObject, UIImagePickerControllerDelegate, UINavigationControllerDelegate {
    private let camera: Camera

    init(camera: Camera) { self.camera = camera }

    func imagePickerController(
      _ picker: UIImagePickerController, didFinishPickingMediaWithInfo info: [UIImagePickerController.InfoKey: Any]
    ) {
      if let image = info[.originalImage] as? UIImage { camera.taken(image) }
      camera.dismiss()
    }

    func imagePickerControllerDidCancel(_ picker: UIImagePickerController) { camera.dismiss() }
  }
}
