# The project's face. Every target installs and builds what it needs, from Debian 12's packages.
.PHONY: help demo demo-cluster test bench lint train image package clean

help:
	@echo "make demo    install, build, quickstart from a CSV; then the sample: serve, ingest, show the change"
	@echo "make demo-cluster  three servers on one log of Apache Kafka, of which one dies (needs Java and Maven)"
	@echo "make test    install, build and run every test, sanitizers included, and lint what changed"
	@echo "make bench   install, build and run the benchmarks of bench/"
	@echo "make lint    clang-format and clang-tidy over the whole tree"
	@echo "make train   train the sample snapshot again (needs PyTorch; two to three minutes)"
	@echo "make package  make a Debian package of the programs: build/package/groundswell_*.deb"
	@echo "make image   build the container image and run it, without Docker or a registry (as root)"

demo:
	scripts/install-packages
	scripts/build release groundswell-server groundswell
	scripts/demo

demo-cluster:
	scripts/install-packages
	scripts/build release groundswell-server groundswell
	scripts/demo-cluster

test:
	scripts/install-packages --test
	scripts/test

bench:
	scripts/install-packages
	scripts/build release
	scripts/bench

lint:
	scripts/install-packages --lint
	scripts/lint

train:
	scripts/install-packages --trainer
	scripts/build release groundswell-server
	/usr/bin/python3 -m trainer train --config trainer/online-retail.toml

image:
	scripts/install-packages --image
	scripts/build-image
	scripts/check-image

package:
	scripts/install-packages
	scripts/build release groundswell-server groundswell
	cd build/release && cpack -G DEB -B "$(CURDIR)/build/package"

clean:
	rm -rf build
