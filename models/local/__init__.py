"""Models on this machine: weights, llama.cpp servers, who starts and shares them."""
