"""How good is detection: public benchmarks through the shipped stack, judged by one scorer."""
