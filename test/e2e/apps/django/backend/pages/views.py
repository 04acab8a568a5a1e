from django.http import JsonResponse
from django.shortcuts import redirect, render


def home(request):
    return render(request, "home.html", {"url": request.build_absolute_uri()})


def old(request):
    return redirect("home")


def who(request):
    return JsonResponse({"client": request.META["REMOTE_ADDR"], "secure": request.is_secure(), "path": request.path})
