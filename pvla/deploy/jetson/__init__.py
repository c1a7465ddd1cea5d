"""What only the robot's own computer has: TensorRT engines, the ARX arm, RealSense cameras."""
