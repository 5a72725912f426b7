from setuptools import find_packages, setup

TESTS = ["coverage<8", "mock>=2.0"]

setup(
    name="django-scorekeeper",
    version="0.4.0",
    packages=find_packages(exclude=["tests"]),
    include_package_data=True,
    keywords=["django", "channels"],
    python_requires=">=2.7",
    install_requires=[
        "Django>=1.8,<2.1",
        "channels>=1.0.3,<2",
        "six",
    ],
    extras_require={
        "redis": ["asgi_redis>=1.3"],
        "delay": ["channels~=1.1"],
    },
    tests_require=TESTS,
)
